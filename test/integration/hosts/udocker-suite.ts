/** udocker beside apptainer, over any kind of host: what differs from it. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runToken } from '../../../domain/runs.ts';
import type { ImageRequest, ImageSource, MachineWatch, PulledImage, TaskLaunch } from '../../../hosts/machine.ts';
import { buildBusybox, type BuiltImage } from '../../ground/images.ts';
import { startRegistry, type TestRegistry } from '../../ground/registry.ts';
import { deployment, ended, launchOf, nap, newRun, output, resultOf, sh, until } from './runs.ts';
import type { Transport } from './transports.ts';

const credentials = { username: 'puller', password: `s3cret,"'$x` };

export function describeUdocker(name: string, address: string, open: () => Promise<Transport>): void {
  describe(`udocker on ${name}`, () => {
    let transport: Transport;
    let busybox: BuiltImage;
    let openRegistry: TestRegistry;
    let lockedRegistry: TestRegistry;
    let watch: MachineWatch;
    let image: PulledImage;
    let folder: string;
    beforeAll(async () => {
      transport = await open();
      busybox = await buildBusybox();
      folder = mkdtempSync(join(tmpdir(), 'prominence-udocker-'));
      [openRegistry, lockedRegistry] = await Promise.all([
        startRegistry({ address }),
        startRegistry({ address, credentials }),
      ]);
      watch = await transport.machine.watch(deployment);
      image = await pull(download('busybox.tar', readFileSync(busybox.archive)));
    });
    afterAll(async () => {
      watch?.close();
      await Promise.all([openRegistry?.stop(), lockedRegistry?.stop(), transport?.close()]);
      rmSync(folder, { recursive: true, force: true });
    });
    let lastKey = 0;
    const request = (source: ImageSource): ImageRequest => ({
      runtime: 'udocker',
      imageKey: `udocker${(lastKey += 1)}`,
      source,
    });
    const pull = (wanted: ImageRequest) => transport.machine.pullImage(wanted);
    const registry = (reference: string, credential?: { username: string; token: string }): ImageRequest =>
      request({ kind: 'registry', reference, insecure: true, ...(credential ? { credential } : {}) });
    const download = (path: string, content: Buffer): ImageRequest => {
      transport.files.files.set(path, content);
      return request({ kind: 'download', url: transport.files.url(path), archive: true });
    };
    const launch = (argv: string[] | undefined, changes: Partial<TaskLaunch> = {}) =>
      launchOf(image, argv, { runtime: 'udocker', ...changes });
    const processesWith = async (marker: string) =>
      (
        await transport.shell(`grep -l -a -e '${marker.replace(/^./, '[$&]')}' /proc/[0-9]*/cmdline 2>/dev/null`)
      ).trim();

    it('is told by the probe', async () => {
      const { runtimes } = await transport.machine.probe();
      expect(runtimes.udocker).toMatch(/^\d+\.\d+\.\d+\/\d+\.\d+\.\d+$/);
      expect(runtimes.singularity).toBeDefined();
    });

    it('runs a command with its words, environment, scratch, binds and folder', async () => {
      const run = newRun();
      const env = {
        GREETING: `it's "a"\n$B`,
        USER_TOKEN: 'very-secret-4771',
        PATH: '/bin:/other',
        run: 'x',
        EMPTY: '',
        BLANK: ' b ',
        USER: 'user',
      };
      const inputs = [{ filename: 'in.txt', content: Buffer.from('input\n'), executable: false }];
      const line =
        'printf "<%s>" "$@" "$GREETING" "$PATH" "$run" "${EMPTY-unset}" "$BLANK" "$USER" "$HOME" "$IMAGE_NAME"; echo; pwd; cat /home/user/in.txt; echo t >/tmp/t; echo d >/data/d; touch /written; sleep 0.5; exit 6';
      const argv = ['sh', '-c', line, 'sh', 'a b', '*', '', "'q'"];
      const options = { env, prepare: { inputs }, binds: [{ source: 'some dir', target: '/data' }] };
      await transport.machine.startTask(run, launch(argv, { ...options, workdir: '/home/user/some dir' }));
      await until(async () => (await output(watch, run)).includes('input'), 'it runs');
      expect(await processesWith('very-secret-4771')).toBe('');
      expect(await resultOf(watch, run)).toMatchObject({ exitCode: 6, cause: 'exited' });
      expect(await output(watch, run)).toBe(
        `<a b><*><><'q'><it's "a"\n$B></bin:/other><x><>< b ><user></home/user><busybox>\n/home/user/some dir\ninput\n`,
      );
      expect(await output(watch, run, 'stderr')).toBe('');
      // The next task of the run finds what this one left, in the image too.
      await transport.machine.startTask(run, launch(sh('cat /tmp/t some*/d; ls /written; env'), { launchNumber: 1 }));
      await resultOf(watch, run, 1);
      const second = (await output(watch, run)).split('input\n')[1]!;
      expect(second).toMatch(/^t\nd\n\/written\n/);
      expect(second).not.toMatch(/UDOCKER|GREETING/);
    });

    it('keeps what was written before a task opens /dev/stdout or /dev/stderr anew', async () => {
      const run = newRun();
      const line =
        'echo one; echo two >/dev/stdout; echo three; echo 1 >&2; echo 2 >/dev/stderr; echo 3 >/proc/self/fd/2';
      await transport.machine.startTask(run, launch(sh(line)));
      expect(await resultOf(watch, run)).toMatchObject({ exitCode: 0 });
      expect(await output(watch, run)).toBe('one\ntwo\nthree\n');
      expect(await output(watch, run, 'stderr')).toBe('1\n2\n3\n');
    });

    it('runs the entry point of the image where there is no command', async () => {
      const run = newRun();
      await transport.machine.startTask(run, launch(undefined));
      expect(await resultOf(watch, run)).toMatchObject({ exitCode: 0 });
    });

    it('pulls from a registry once per digest, with a password where one is asked', async () => {
      const reference = await openRegistry.push(busybox, 'test/busybox:1');
      const first = await pull(registry(reference));
      expect(first).toMatchObject({ status: 'completed', digest: expect.stringMatching(/^sha256:/) as string });
      const again = await openRegistry.push(busybox, 'test/busybox:2');
      expect(await pull(registry(again))).toMatchObject({ status: 'cached', fileSha256: first.fileSha256 });
      const run = newRun();
      await transport.machine.startTask(run, launchOf(first, sh('echo $IMAGE_NAME'), { runtime: 'udocker' }));
      await resultOf(watch, run);
      expect(await output(watch, run)).toBe('busybox\n');

      const locked = await lockedRegistry.push(busybox, 'private/busybox:latest');
      const { username, password: token } = credentials;
      expect(await pull(registry(locked, { username, token }))).toMatchObject({ digest: first.digest });
      await expect(pull(registry(locked))).rejects.toMatchObject({ code: 'unauthorized' });
      await expect(pull(registry(`${openRegistry.host}/test/absent:1`))).rejects.toMatchObject({ code: 'notFound' });
      await expect(pull(registry(`${address}:1/test/x:1`))).rejects.toMatchObject({
        code: 'transient',
        message: expect.stringContaining('refused') as string,
      });
      expect((await transport.shell('ls images/tmp images/locks')).replaceAll(/images\/\w+:|\s/g, '')).toBe('');
    });

    it('takes a packed archive, and says why a download is none', async () => {
      const packed = await pull(download('u.tgz', gzipSync(readFileSync(busybox.archive))));
      expect(packed).toMatchObject({ status: 'completed' });
      await expect(pull(download('page.tar', Buffer.from('<html>')))).rejects.toMatchObject({ code: 'invalid' });
    });

    it('shows a task none but its own processes, and so no secrets of others', async () => {
      const [other, run] = [newRun(), newRun()];
      await transport.machine.startTask(other, launch(sh(`echo up; sleep ${nap}`), { env: { OTHERS: 'secret-4798' } }));
      await until(async () => (await output(watch, other)) === 'up\n', 'the other task runs');
      const line = 'cat /proc/[0-9]*/environ | grep -c secret-4798; for each in /proc/[0-9]*/; do ls $each/cwd/; done';
      await transport.machine.startTask(run, launch(sh(`${line} | grep -c runs; kill -KILL -1`)));
      await resultOf(watch, run);
      expect(await output(watch, run)).toBe('0\n0\n');
      expect(await processesWith(`sleep.${nap}`)).not.toBe('');
      await transport.machine.killRun(other, 0);
    });

    const unwilling = `trap "" TERM; (setsid sh -c "trap \\"\\" TERM; sleep ${nap}1; :" &); echo up; while :; do sleep ${nap}2; done`;
    const killsTheUnwilling = async () => {
      const run = newRun();
      await transport.machine.startTask(run, launch(sh(unwilling)));
      await until(async () => (await output(watch, run)) === 'up\n', 'the task runs');
      await transport.machine.killRun(run, 1);
      expect(await resultOf(watch, run)).toMatchObject({ exitCode: 137, cause: 'killed' });
      expect(await processesWith(`sleep.${nap}[12]`)).toBe('');
      expect(await processesWith(runToken(run))).toBe('');
    };
    const leavesNoDaemons = async () => {
      const run = newRun();
      await transport.machine.startTask(run, launch(sh(`(setsid sleep ${nap} &); sleep 0.2; exit 5`)));
      expect(await resultOf(watch, run)).toMatchObject({ exitCode: 5 });
      expect(await processesWith(`sleep.${nap}`)).toBe('');
    };
    it('kills what ignores TERM and what became a daemon', killsTheUnwilling);
    it('leaves no process of a task that made daemons and ended', leavesNoDaemons);
    it('does both where an ordinary user may have no namespaces', async () => {
      // The machine's can't be taken away: its script is made to find none.
      await transport.shell(
        `cp lib/*/namespaces.py saved && sed -i 's/^def are_possible/are_possible = lambda libc: False\\ndef unused/' lib/*/namespaces.py`,
      );
      try {
        await killsTheUnwilling();
        await leavesNoDaemons();
      } finally {
        await transport.shell('cp saved lib/*/namespaces.py && rm saved');
      }
    });

    it('tells the signal that ended a task as 128 and its number', async () => {
      const run = newRun();
      await transport.machine.startTask(run, launch(sh('kill -SEGV $$')));
      expect(await resultOf(watch, run)).toMatchObject({ exitCode: 139, cause: 'exited' });
    });

    it('keeps to walltime and memory, daemons included', async () => {
      const slow = newRun();
      await transport.machine.startTask(
        slow,
        launch(sh('trap "exit 3" TERM; while :; do sleep 0.1; done'), { walltimeSeconds: 10, killGraceSeconds: 60 }),
      );
      expect(await resultOf(watch, slow)).toMatchObject({ exitCode: 3, cause: 'walltime' });
      const large = newRun();
      // Of a size that nobody else's has.
      const bytes = `bs=${300_000_000 + process.pid}`;
      const line = `(setsid dd if=/dev/zero of=/dev/null ${bytes} &); sleep ${nap}`;
      await transport.machine.startTask(large, launch(sh(line), { memoryBytes: 150e6 }));
      expect(await resultOf(watch, large)).toMatchObject({ cause: 'memory' });
      expect(await processesWith(`sleep.${nap}`)).toBe('');
      expect(await processesWith(bytes)).toBe('');
    });

    it('kills what a dead supervisor left, and removes the run with its container', async () => {
      const run = newRun();
      await transport.machine.startTask(
        run,
        launch(sh(`(setsid sleep ${nap}1 &); mkdir -p /a/b; chmod 0 /a/b /a; sleep ${nap}2`)),
      );
      await until(async () => (await processesWith(`sleep.${nap}2`)) !== '', 'the task runs');
      await transport.shell(`read -r pid _ <runs/${runToken(run)}/tasks/0/started; kill -KILL "$pid"`);
      expect(await ended(watch, run)).toMatchObject({ state: 'lost' });
      expect(await processesWith(`sleep.${nap}[12]`)).toBe('');
      await watch.remove([run]);
      expect(await transport.shell(`ls runs | grep '${runToken(run)}$'`)).toBe('');
    });
  });
}
