/** Commands beside tasks, and snapshots, over any kind of host. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runToken, type RunRef } from '../../../domain/runs.ts';
import type { Bind, ExecRequest, ExecResult, MachineWatch, PulledImage } from '../../../hosts/machine.ts';
import { deployment, ended, launchOf, newRun, pullBusybox, sh, until } from './runs.ts';
import type { Transport } from './transports.ts';

export function describeCalls(name: string, open: () => Promise<Transport>): void {
  describe(`calls on ${name}`, () => {
    let transport: Transport;
    let image: PulledImage;
    let watch: MachineWatch;
    let folder: string;
    /** A run whose task goes on until the end of the suite. */
    let run: RunRef;
    beforeAll(async () => {
      transport = await open();
      image = await pullBusybox(transport);
      watch = await transport.machine.watch(deployment);
      folder = mkdtempSync(join(tmpdir(), 'prominence-calls-'));
      run = await running('mkdir -p d/e; echo content > d/e/file; while true; do sleep 0.2; done');
    });
    afterAll(async () => {
      if (run) await transport.machine.killRun(run, 0);
      watch?.close();
      await transport?.close();
      rmSync(folder, { recursive: true, force: true });
    });

    const running = async (line: string): Promise<RunRef> => {
      const started = newRun();
      const binds = [{ source: 'bound', target: '/mnt/bound' }];
      await transport.machine.startTask(started, launchOf(image, sh(`echo begun > begun; ${line}`), { binds }));
      const begun = async () =>
        (await transport.shell(`cat runs/${runToken(started)}/home/begun 2>/dev/null`)) === 'begun\n';
      await until(begun, 'the task began');
      return started;
    };

    const exec = async (
      argv: string[],
      changes: Partial<ExecRequest> = {},
      inRun = run,
      signal?: AbortSignal,
    ): Promise<{ output: string; result: ExecResult }> => {
      let output = '';
      const result = await transport.machine.exec(
        inRun,
        {
          launch: () => {
            const binds = [{ source: 'bound', target: '/mnt/bound' }];
            return Promise.resolve(launchOf(image, argv, { binds, env: { SAID: "it's\n$so" } }));
          },
          limitSeconds: 80,
          memoryBytes: 1e9,
          onOutput: (bytes) => {
            output += bytes.toString();
            return Promise.resolve(true);
          },
          ...changes,
        },
        signal,
      );
      return { output, result };
    };
    const exited = (exitCode: number) => ({ kind: 'ended', exitCode, cause: 'exited' });
    const processesWith = async (marker: string) =>
      (
        await transport.shell(`grep -l -a -e '${marker.replace(/^./, '[$&]')}' /proc/[0-9]*/cmdline 2>/dev/null`)
      ).trim();

    it('a command sees what the task sees, and its words are exact', async () => {
      const line =
        'pwd; cat d/e/file; ls /mnt; echo "$SAID"; echo to stderr >&2; touch made; id -u | grep -vx 0 >/dev/null';
      expect(await exec(sh(line))).toEqual({
        output: "/home/user\ncontent\nbound\nit's\n$so\nto stderr\n",
        result: exited(0),
      });
      expect(await exec(['ls', 'made', 'x'])).toEqual({
        output: expect.stringContaining('made') as string,
        result: exited(1),
      });
      const words = ['printf', '<%s>', 'a b', '$HOME', '', "'q'", 'x\ny', '*', ';id'];
      expect((await exec(words)).output).toBe("<a b><$HOME><><'q'><x\ny><*><;id>");
      expect((await exec(sh('exit 7'))).result).toEqual(exited(7));
      expect((await exec(sh('kill -KILL $$'))).result).toEqual(exited(137));
      expect((await exec(['no-such-program'])).result).toEqual(exited(255));
      expect((await exec(['cat'])).result).toEqual(exited(0));
    });

    it('its environment is on no command line, and nothing is left behind', async () => {
      const marker = `secret-${Math.random()}`;
      const pause = String(5000 + Math.random());
      let seen = '';
      const launch = launchOf(image, sh(`sleep ${pause} & echo "$MARKER"`), { env: { MARKER: marker } });
      await exec([], {
        launch: () => Promise.resolve(launch),
        onOutput: async (bytes) => {
          seen = bytes.toString() + (await processesWith(marker));
          return true;
        },
      });
      expect(seen).toBe(`${marker}\n`);
      expect(await processesWith(pause)).toBe('');
    });

    it('ends when it takes too long or too much memory', async () => {
      const slow = await exec(sh('echo before; sleep 1000'), { limitSeconds: 8 });
      expect(slow).toEqual({ output: 'before\n', result: expect.objectContaining({ cause: 'limit' }) as ExecResult });
      const fill = 'x=$(head -c 200000000 /dev/zero | tr "\\0" x); sleep 1000';
      const large = await exec(sh(fill), { memoryBytes: 50e6 });
      expect(large.result).toMatchObject({ kind: 'ended', cause: 'memory' });
      // The task itself goes on.
      expect((await exec(['true'])).result).toEqual(exited(0));
    });

    it('ends when nobody wants its output, or its caller gives up', async () => {
      const marker = `unwanted-${process.pid}-${Date.now()}`;
      const endless = sh(`while true; do echo ${marker}; sleep 0.01; done`);
      const { result } = await exec(endless, { onOutput: () => Promise.resolve(false) });
      expect(result).toMatchObject({ kind: 'ended', cause: 'unwanted' });
      const abort = new AbortController();
      const given = exec(
        endless,
        {
          onOutput: () => {
            abort.abort();
            return Promise.resolve(true);
          },
        },
        run,
        abort.signal,
      );
      await expect(given).rejects.toMatchObject({ code: 'aborted' });
      await until(async () => (await processesWith(marker)) === '', 'the commands are gone');
    });

    it('ends with the run, and does not start without one', async () => {
      const other = await running('while true; do sleep 0.2; done');
      const { result } = await exec(
        sh('echo begun; sleep 1000'),
        {
          onOutput: async () => {
            await transport.machine.killRun(other, 0);
            return true;
          },
        },
        other,
      );
      expect(result).toMatchObject({ kind: 'ended', cause: 'runEnded' });
      expect((await exec(['true'], {}, other)).result).toEqual({ kind: 'refused', detail: 'the job is being ended' });
      expect((await exec(['true'], {}, newRun())).result).toEqual({
        kind: 'refused',
        detail: 'no task of the job has started yet',
      });
    });

    it('what keeps it from being started is its caller’s to hear', async () => {
      const launch = () => Promise.reject(new Error('no longer wanted'));
      await expect(exec(['true'], { launch })).rejects.toThrow('no longer wanted');
    });

    const snapshot = async (path: string, inRun = run, binds: Bind[] = []) => {
      const key = `snapshot-${Math.random()}`;
      const result = await transport.machine.snapshot(inRun, { path, url: transport.files.url(key), binds });
      const bytes = transport.files.files.get(key);
      if (!bytes) return { result };
      writeFileSync(join(folder, key), bytes);
      const members = execFileSync('tar', ['-tzf', join(folder, key)], { encoding: 'utf8' });
      return { result, members: members.trim().split('\n') };
    };

    it('a snapshot holds a file, a folder or all of scratch', async () => {
      await exec(sh('mkdir -p "a|b&c/in"; echo x > "a|b&c/in/f"; ln -s /etc leading-out; ln -s d/e link-inside'));
      const uploaded = { kind: 'uploaded', sizeBytes: expect.any(Number) as number };
      expect(await snapshot('d/e/file')).toEqual({ result: uploaded, members: ['d/e/file'] });
      expect(await snapshot('d')).toEqual({ result: uploaded, members: ['d/', 'd/e/', 'd/e/file'] });
      expect(await snapshot('a|b&c/in')).toEqual({ result: uploaded, members: ['a|b&c/in/', 'a|b&c/in/f'] });
      expect(await snapshot('link-inside')).toEqual({ result: uploaded, members: ['d/e/', 'd/e/file'] });
      const { members } = await snapshot('.');
      expect(members).toEqual(expect.arrayContaining(['./d/e/file', './leading-out']));
      expect(members!.join('\n')).not.toContain('leading-out/');
    });

    it('a snapshot takes links for what they mean in the container', async () => {
      await exec(
        sh(
          'mkdir -p real/in; echo x > real/in/f; ln -s "$PWD/real" there; ln -s /home/user/there/in/f link; echo t > /tmp/t; ln -s /tmp/t tmp; echo b > /mnt/bound/b; ln -s /mnt/bound mnt',
        ),
      );
      const uploaded = { kind: 'uploaded', sizeBytes: expect.any(Number) as number };
      const binds = [{ source: 'bound', target: '/mnt/bound' }];
      expect(await snapshot('there')).toEqual({ result: uploaded, members: ['real/', 'real/in/', 'real/in/f'] });
      expect(await snapshot('there/in/f')).toEqual({ result: uploaded, members: ['real/in/f'] });
      expect(await snapshot('link')).toEqual({ result: uploaded, members: ['real/in/f'] });
      expect(await snapshot('tmp')).toEqual({ result: uploaded, members: ['tmp/t'] });
      expect(await snapshot('mnt/b', run, binds)).toEqual({ result: uploaded, members: ['mnt/bound/b'] });
      expect((await snapshot('mnt/b')).result).toMatchObject({
        cause: 'missing',
        detail: 'there is no mnt/b in the scratch directory',
      });
    });

    it('a snapshot is of nothing outside, and of nothing that is not there', async () => {
      for (const path of [
        'nothing',
        'leading-out',
        'leading-out/passwd',
        '../..',
        '../tasks',
        '/etc/passwd',
        '-x',
        '',
      ]) {
        const { result } = await snapshot(path);
        if (path === '') expect(result.kind).toBe('uploaded');
        else expect(result, path).toMatchObject({ kind: 'failed', cause: 'missing' });
      }
      expect((await snapshot('d', newRun())).result).toMatchObject({ kind: 'failed', cause: 'missing' });
      const refusing = { path: 'd', url: 'http://127.0.0.1:1/nowhere' };
      expect(await transport.machine.snapshot(run, refusing)).toMatchObject({ kind: 'failed', cause: 'upload' });
    });

    it('a task that ended leaves its folders to be looked at until the run is over', async () => {
      const done = await running('true');
      await ended(watch, done);
      expect((await exec(['cat', 'begun'], {}, done)).output).toBe('begun\n');
    });
  });
}
