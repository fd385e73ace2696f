/** A user's own storage, mounted for runs on any kind of host. */
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { runToken, type RunRef } from '../../../domain/runs.ts';
import type { Bind, MachineWatch, PulledImage, MountRequest } from '../../../hosts/machine.ts';
import { buildBusybox } from '../../ground/images.ts';
import { eventually } from '../../ground/rest.ts';
import { startWebdav, type WebdavServer } from '../../ground/webdav.ts';
import { deployment, launchOf, newRun, output, pullBusybox, resultOf, sh } from './runs.ts';
import type { Transport } from './transports.ts';

const data: Bind = { from: 'mount', source: '', target: '/data' };
/** A storage that takes nothing for so long is given up: one that works never, one that is gone soon. */
const patience = 60;
const impatience = 2;

export function describeMounts(
  name: string,
  address: string,
  open: () => Promise<Transport>,
  /** Some of it is the same everywhere and takes time: done on one kind of host only. */
  { isLocal = false }: { isLocal?: boolean } = {},
): void {
  describe(`storage on ${name}`, () => {
    let transport: Transport;
    let server: WebdavServer;
    let image: PulledImage;
    let watch: MachineWatch;
    beforeAll(async () => {
      [transport, server] = await Promise.all([open(), startWebdav(address)]);
      image = await pullBusybox(transport);
      watch = await transport.machine.watch(deployment);
    });
    afterEach(async () => {
      for (const run of made.splice(0)) await transport.machine.killRun(run, 0);
    });
    afterAll(async () => {
      watch?.close();
      await transport?.close();
      await server?.stop();
    });
    /** Of the test; ended with it, so that no failure leaves a mount behind. */
    const made: RunRef[] = [];

    const webdav = (changes: Partial<Extract<MountRequest, { kind: 'webdav' }>> = {}): MountRequest => {
      const { url, username, password } = server;
      return { kind: 'webdav', url, username, password, directory: '', ...changes };
    };
    const stored = (path: string) => readFileSync(join(server.folder, path), 'utf8');
    const mounts = () => transport.shell('grep -c "$PWD/.*/mounts/" /proc/self/mountinfo');
    const servers = () => transport.shell('grep -lsa "^rclone.mount.*$PWD" /proc/[0-9]*/cmdline');
    const isTidy = async () => (await mounts()) === '0\n' && (await servers()) === '';
    const tidy = () =>
      eventually(
        async () => ((await isTidy()) ? true : undefined),
        () => 'something of the storage is left on the machine',
        90,
      );
    const mounted = async (request: MountRequest = webdav()): Promise<RunRef> => {
      const run = newRun();
      made.push(run);
      expect(await transport.machine.mount(run, request)).toEqual({ kind: 'mounted' });
      return run;
    };
    const start = (run: RunRef, line: string, launchNumber = 0, binds = [data]) =>
      transport.machine.startTask(run, launchOf(image, sh(line), { launchNumber, binds }));
    const said = (run: RunRef, words: string) =>
      eventually(
        async () => ((await output(watch, run)).includes(words) ? true : undefined),
        () => `the task did not say ${words}`,
        90,
        50,
      );

    it('is told by the probe', async () => {
      expect((await transport.machine.probe()).mounts).toEqual({
        webdav: expect.stringMatching(/^\d+\.\d+/) as string,
      });
    });

    it('is read and written by the tasks of a run, and has everything when it is ended', async () => {
      mkdirSync(join(server.folder, 'a b#%'));
      writeFileSync(join(server.folder, 'a b#%/there.txt'), 'was there\n');
      const run = await mounted(webdav({ directory: 'a b#%' }));
      // Another of our processes, or the same activity once more, finds what is there.
      expect(await transport.another().mount(run, webdav({ directory: 'a b#%' }))).toEqual({ kind: 'mounted' });
      const line =
        'cat /data/there.txt; mkdir /data/new; head -c 3000000 /dev/zero > /data/new/zeros; echo one > /data/x';
      await start(run, line);
      expect(await resultOf(watch, run)).toMatchObject({ exitCode: 0 });
      await start(run, 'cat /data/x; echo two >> /data/x; mv /data/x /data/y; touch /data/empty', 1);
      expect(await resultOf(watch, run, 1)).toMatchObject({ exitCode: 0 });
      expect(await output(watch, run)).toBe('was there\none\n');
      // Nobody finds the password, while everything of it is there.
      const secret = `[${server.password.slice(-12, -11)}]${server.password.slice(-11)}`;
      const places = `. --exclude-dir=0 --devices=skip; grep -lsa '${secret}' /proc/[0-9]*/cmdline`;
      const everything = `grep -rls '${secret}' ${places}`;
      expect(await transport.shell(everything)).toBe('');
      expect(await transport.machine.unmount(run, patience)).toEqual({ kind: 'unmounted' });
      expect(stored('a b#%/y')).toBe('one\ntwo\n');
      expect(stored('a b#%/new/zeros')).toHaveLength(3_000_000);
      expect(stored('a b#%/empty')).toBe('');
      await tidy();
      // What comes after the end is told so: nothing is written into an empty folder instead.
      await start(run, 'echo never > /data/never', 2);
      expect(await resultOf(watch, run, 2)).toMatchObject({ exitCode: 255 });
      expect(await transport.machine.mount(run, webdav())).toEqual({ kind: 'killed' });
      expect(await transport.machine.unmount(run, patience)).toEqual({ kind: 'unmounted' });
    });

    type Refused = [what: string, request: () => MountRequest, words: RegExp];
    const unreachable: Refused = ['nobody there', () => webdav({ url: `http://${address}:1/` }), /can't be reached/];
    it.each<Refused>([
      ['a wrong password', () => webdav({ password: 'guessed' }), /refused the user name or the password/],
      ['a folder that is not there', () => webdav({ directory: 'nowhere' }), /no such folder/],
      ['a file', () => webdav({ directory: 'file.txt' }), /is no folder/],
      ...(isLocal ? [unreachable] : []),
    ])('is not mounted with %s, and says so', async (_, request, words) => {
      writeFileSync(join(server.folder, 'file.txt'), 'x');
      const result = await transport.machine.mount(newRun(), request());
      expect(result).toEqual({ kind: 'failed', detail: expect.stringMatching(words) as string });
      expect(JSON.stringify(result)).not.toContain('guessed');
      await tidy();
    });

    it('gives images and artifacts, and takes outputs', async () => {
      mkdirSync(join(server.folder, 'images'), { recursive: true });
      writeFileSync(join(server.folder, 'images/own.tar'), readFileSync((await buildBusybox()).archive));
      writeFileSync(join(server.folder, 'words.txt'), 'words\n');
      const run = await mounted();
      const source = { kind: 'stored', run, archive: true } as const;
      const pull = (path: string, key: string) =>
        transport.machine.pullImage({ runtime: 'singularity', imageKey: key, source: { ...source, path } });
      expect(await pull('images/own.tar', 'own')).toMatchObject({ status: 'completed', fileSha256: /^[0-9a-f]{64}$/ });
      await expect(pull('images/none.tar', 'none')).rejects.toMatchObject({ code: 'notFound' });
      await expect(pull('../../../images/x', 'out')).rejects.toMatchObject({ code: 'notFound' });
      const artifact = { stored: 'words.txt', filename: 'words.txt', executable: false };
      expect(await transport.machine.stageIn(run, { inputs: [] }, [artifact])).toMatchObject({ kind: 'done' });
      await start(run, 'mkdir -p out/d; cp words.txt out/d/; echo made > out/made.txt', 0, []);
      expect(await resultOf(watch, run)).toMatchObject({ exitCode: 0 });
      const outputs = await transport.machine.stageOut(run, [
        { kind: 'file', name: 'out/m*', stored: 'results/out/m*' },
        { kind: 'directory', name: 'out/d', stored: 'results/d.tgz' },
        { kind: 'file', name: 'out/made.txt', stored: '../../home/made.txt' },
        { kind: 'file', name: 'none', stored: 'none' },
      ]);
      expect(outputs).toEqual([
        { kind: 'uploaded', sizeBytes: 5 },
        { kind: 'uploaded', sizeBytes: expect.any(Number) as number },
        { kind: 'failed', cause: 'refused', detail: 'it leads out of the storage' },
        { kind: 'failed', cause: 'missing', detail: 'no file none' },
      ]);
      expect(await transport.machine.unmount(run, patience)).toEqual({ kind: 'unmounted' });
      expect(stored('results/out/made.txt')).toBe('made\n');
      expect(existsSync(join(server.folder, 'results/d.tgz'))).toBe(true);
      await tidy();
    });

    it('is never removed with a run: neither by a removal in the middle, nor where something else is mounted', async () => {
      writeFileSync(join(server.folder, 'precious.txt'), 'precious\n');
      const run = await mounted();
      await start(run, 'echo late > /data/late.txt; echo begun; sleep 100');
      await said(run, 'begun');
      const removed = async () => {
        await watch.remove([run]);
        return (await transport.shell(`ls -d runs/${runToken(run)} 2>/dev/null`)) === '' ? true : undefined;
      };
      await eventually(removed, () => 'the run is still there', 90);
      expect([stored('precious.txt'), stored('late.txt')]).toEqual(['precious\n', 'late\n']);
      await tidy();

      // A mount that nobody wrote down, where none is expected.
      const other = newRun();
      const place = `runs/${runToken(other)}/home/deep`;
      await transport.shell(
        `mkdir -p ${place} elsewhere; echo kept > elsewhere/kept; setsid rclone mount :local:"$PWD/elsewhere" ${place} --config "" </dev/null >/dev/null 2>&1 &`,
      );
      const isThere = async () => ((await transport.shell(`ls ${place}`)) === 'kept\n' ? true : undefined);
      await eventually(isThere, () => 'the foreign mount did not come up', 90, 50);
      await expect(watch.remove([other])).rejects.toThrow('could not remove');
      expect(await transport.shell(`cat elsewhere/kept; fusermount3 -u ${place}; cat elsewhere/kept`)).toBe(
        'kept\nkept\n',
      );
      await watch.remove([other]);
    });

    // Of this machine the tests of jobs show the one, and where there is udocker is known of this machine only.
    const itElsewhere = isLocal ? () => undefined : it;
    const itHere = isLocal ? it : () => undefined;

    itElsewhere('that vanishes is not waited for, and what it did not take is told', async () => {
      const own = await startWebdav(address);
      const run = await mounted(webdav(own));
      const line = 'exec 4>/data/lost.txt; echo begun; while [ ! -e go ]; do sleep 0.1; done; echo lost >&4; exec 4>&-';
      await start(run, line);
      await said(run, 'begun');
      await own.stop();
      await transport.shell(`touch runs/${runToken(run)}/home/go`);
      expect(await resultOf(watch, run)).toMatchObject({ exitCode: 0 });
      const ended = await transport.machine.unmount(run, impatience);
      expect(ended).toEqual({ kind: 'failed', detail: expect.stringMatching(/did not take 1 of the files/) as string });
      await tidy();
    });

    itHere('is given to tasks of udocker', async () => {
      const url = transport.files.url('busybox.tar');
      const source = { kind: 'download', archive: true, url } as const;
      const packed = await transport.machine.pullImage({ runtime: 'udocker', imageKey: 'udocker-busybox', source });
      writeFileSync(join(server.folder, 'for-udocker.txt'), 'read\n');
      const run = await mounted();
      const argv = sh('cat /data/for-udocker.txt; echo written > /data/by-udocker.txt');
      await transport.machine.startTask(run, launchOf(packed, argv, { runtime: 'udocker', binds: [data] }));
      expect(await resultOf(watch, run)).toMatchObject({ exitCode: 0 });
      expect(await output(watch, run)).toBe('read\n');
      expect(await transport.machine.unmount(run, patience)).toEqual({ kind: 'unmounted' });
      expect(stored('by-udocker.txt')).toBe('written\n');
    });

    it('that answers nothing any more keeps no task from being killed', async () => {
      writeFileSync(join(server.folder, 'slow.txt'), 'x');
      const run = await mounted();
      try {
        await start(run, 'echo begun; while [ ! -e go ]; do sleep 0.1; done; cat /data/slow.txt');
        await said(run, 'begun');
        server.freeze();
        await transport.shell(`touch runs/${runToken(run)}/home/go`);
        const began = Date.now();
        await transport.machine.killRun(run, 1);
        expect((Date.now() - began) / 1000).toBeLessThan(100);
        expect(await resultOf(watch, run)).toMatchObject({ cause: 'killed' });
        await tidy();
      } finally {
        server.thaw();
      }
    });

    it('ends when its server process is killed: tasks are told, and nothing is left', async () => {
      const run = await mounted();
      await start(run, 'echo begun; while [ ! -e go ]; do sleep 0.1; done; ls /data');
      await said(run, 'begun');
      await transport.shell(`read -r pid _ <runs/${runToken(run)}/mounts/server; kill -9 $pid`);
      await transport.shell(`touch runs/${runToken(run)}/home/go`);
      expect((await resultOf(watch, run)).exitCode).not.toBe(0);
      await transport.machine.killRun(run, 0);
      await tidy();
    });
  });
}

/** A stand-in for the program of OneData, which needs a provider: what it is told is told, and a folder is mounted. */
const standIn = (record: string, files: string) => `#!/bin/sh
[ "$1" != --version ] || { echo 'Oneclient version: 21.02.8'; exit; }
{ printf 'word %s\\n' "$@"; env | sed -n 's/=.*//p' | grep ONECLIENT; echo "token $ONECLIENT_ACCESS_TOKEN"; } > '${record}'
[ "$ONECLIENT_ACCESS_TOKEN" = right ] || { echo 'Error: invalid token' >&2; exit 1; }
for last; do :; done
exec rclone mount ':local:${files}' "$last" --config ''
`;

export function describeOneData(open: (programs: string) => Promise<Transport>, folder: () => string): void {
  describe('storage of the type onedata, with a stand-in for its client', () => {
    it('is mounted by oneclient with provider, options and the token in its environment', async () => {
      const home = folder();
      const [programs, files, record] = [join(home, 'bin'), join(home, 'files'), join(home, 'told')];
      for (const one of [programs, join(files, 'space')]) mkdirSync(one, { recursive: true });
      writeFileSync(join(files, 'space/data.txt'), 'of the space\n');
      writeFileSync(record, '');
      chmodSync(record, 0o666);
      writeFileSync(join(programs, 'oneclient'), standIn(record, files), { mode: 0o755 });
      const transport = await open(programs);
      const watch = await transport.machine.watch(deployment);
      const made: RunRef[] = [];
      try {
        const request = {
          kind: 'onedata',
          provider: 'p.example.org',
          directory: 'space',
          options: ['-i', '--space', 's p'],
        } as const;
        expect((await transport.machine.probe()).mounts).toMatchObject({ onedata: '21.02.8' });
        const refused = await transport.machine.mount(newRun(), { ...request, options: [], token: 'wrong' });
        expect(refused).toEqual({ kind: 'failed', detail: 'Error: invalid token' });
        const run = newRun();
        made.push(run);
        expect(
          await transport.machine.mount(run, { ...request, options: [...request.options], token: 'right' }),
        ).toEqual({ kind: 'mounted' });
        const { workDirectory } = transport;
        const at = `${workDirectory}/runs/${runToken(run)}/mounts`;
        const words = ['-f', '-l', `${at}/cache`, '-H', 'p.example.org', '-i', '--space', 's p', `${at}/0`];
        expect(readFileSync(record, 'utf8')).toBe(
          `${words.map((word) => `word ${word}\n`).join('')}ONECLIENT_ACCESS_TOKEN\ntoken right\n`,
        );
        const image = await pullBusybox(transport);
        const binds: Bind[] = [{ from: 'mount', source: 'space', target: '/data' }];
        await transport.machine.startTask(run, launchOf(image, sh('ls /data; cat /data/data.txt'), { binds }));
        expect(await resultOf(watch, run)).toMatchObject({ exitCode: 0 });
        expect(await output(watch, run)).toBe('data.txt\nof the space\n');
        expect(await transport.machine.unmount(run, patience)).toEqual({ kind: 'unmounted' });
        const missing = await transport.machine.mount(newRun(), {
          ...request,
          options: [],
          directory: 'no',
          token: 'right',
        });
        expect(missing).toMatchObject({ kind: 'failed', detail: 'there is no folder no in the storage' });
        expect(await transport.shell('grep -c "$PWD/.*/mounts/" /proc/self/mountinfo')).toBe('0\n');
      } finally {
        for (const run of made) await transport.machine.killRun(run, 0);
        watch.close();
        await transport.close();
      }
    });
  });
}
