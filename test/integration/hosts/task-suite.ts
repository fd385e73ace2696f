/** How tasks run and end, over any kind of host. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runToken, type RunRef } from '../../../domain/runs.ts';
import type { MachineWatch, PulledImage } from '../../../hosts/machine.ts';
import { deployment, ended, launchOf, nap, newRun, observe, output, pullBusybox, resultOf, sh, until } from './runs.ts';
import type { Transport } from './transports.ts';

export function describeTasks(name: string, open: () => Promise<Transport>): void {
  describe(`tasks on ${name}`, () => {
    let transport: Transport;
    let image: PulledImage;
    let watch: MachineWatch;
    beforeAll(async () => {
      transport = await open();
      image = await pullBusybox(transport);
      watch = await transport.machine.watch(deployment);
    });
    afterAll(async () => {
      watch?.close();
      await transport?.close();
    });
    /** Command lines on the machine that hold a marker; of the account only, so of jobs. */
    const processesWith = async (marker: string) =>
      (
        await transport.shell(`grep -l -a -e '${marker.replace(/^./, '[$&]')}' /proc/[0-9]*/cmdline 2>/dev/null`)
      ).trim();
    /** What is left of a run's session: the runtime, its file system server, and the job. */
    const sessionOf = (run: RunRef) =>
      transport.shell(
        `read -r leader _ <runs/${runToken(run)}/tasks/0/leader
         for stat in /proc/[0-9]*/stat; do
           read -r line <"$stat" && set -- \${line##*) } && [ "$4" = "$leader" ] && [ "$1" != Z ] && echo "$line"
         done 2>/dev/null`,
      );

    it('reports the exit code, the times and the memory of a task', async () => {
      const run = newRun();
      const { machine } = transport;
      const before = Date.now() / 1000 - 5;
      const started = await machine.startTask(run, launchOf(image, sh('echo out; echo err >&2; sleep 1; exit 7')));
      expect(started).toMatchObject({ kind: 'started' });
      const result = await resultOf(watch, run);
      expect(result).toMatchObject({ exitCode: 7, cause: 'exited' });
      expect(result.startedAt).toBeGreaterThan(before);
      expect(result.endedAt).toBeGreaterThanOrEqual(result.startedAt);
      expect(result.cpuSeconds).toBeGreaterThan(0);
      expect(result.maxResidentSetSizeKb).toBeGreaterThan(0);
      expect(await output(watch, run)).toBe('out\n');
      expect(await output(watch, run, 'stderr')).toBe('err\n');
    });

    it('tells the signal that ended a task as 128 and its number', async () => {
      const run = newRun();
      await transport.machine.startTask(run, launchOf(image, sh('kill -SEGV $$')));
      expect(await resultOf(watch, run)).toMatchObject({ exitCode: 139, cause: 'exited' });
    });

    it('passes arguments and environment exactly', async () => {
      const run = newRun();
      const env = {
        NEWLINES: 'a\n\nb\n',
        QUOTES: `it's "so" \\ \`id\` $HOME $(id) \${x}`,
        COMMAS: 'a,b=c;d&e|f*?',
        UNICODE: 'prominence ☀ déjà',
        EMPTY: '',
        PATH: '/opt/mine:/bin',
        IMAGE_NAME: 'mine',
        'not-a-name': 'dropped',
      };
      const argv = ['sh', '-c', 'printf "<%s>" "$@"; env -0', 'sh', 'a b', '*', '$HOME', '', "'q'", 'x\ny'];
      await transport.machine.startTask(run, launchOf(image, argv, { env }));
      expect(await resultOf(watch, run)).toMatchObject({ exitCode: 0 });
      const text = await output(watch, run);
      const words = "<a b><*><$HOME><><'q'><x\ny>";
      expect(text.startsWith(words)).toBe(true);
      const seen = new Map(
        text
          .slice(words.length)
          .split('\0')
          .map((entry) => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)]),
      );
      const { 'not-a-name': _, ...expected } = env;
      expect(Object.fromEntries(Object.keys(expected).map((key) => [key, seen.get(key)]))).toEqual(expected);
      expect(seen.get('HOME')).toBe('/home/user');
      expect(seen.has('USER')).toBe(false);
      expect(seen.has('SSH_CONNECTION')).toBe(false);
    });

    it('runs the entry point of the image where there is no command', async () => {
      const run = newRun();
      await transport.machine.startTask(run, launchOf(image, undefined));
      expect(await resultOf(watch, run)).toMatchObject({ exitCode: 0 });
    });

    it('shows the container scratch, /tmp and binds, and nothing else of the host', async () => {
      const run = newRun();
      const { machine } = transport;
      const inputs = [
        { filename: 'run me.sh', content: Buffer.from('#!/bin/sh\necho ran\n'), executable: true },
        { filename: 'in.bin', content: Buffer.from([0, 255, 10, 13]), executable: false },
      ];
      const line =
        'pwd; id -u; ls /home; "/home/user/run me.sh"; wc -c < /home/user/in.bin; echo x > /tmp/t; echo y > "/data, 1/y"; touch /root/no || echo readonly; ls /var/tmp /tmp | wc -l; ps >/tmp/ps; wc -l </tmp/ps';
      await machine.startTask(
        run,
        launchOf(image, sh(line), { prepare: { inputs }, binds: [{ source: 'some/dir, x', target: '/data, 1' }] }),
      );
      expect(await resultOf(watch, run)).toMatchObject({ exitCode: 0 });
      const lines = (await output(watch, run)).trim().split('\n');
      expect(lines.slice(0, 1)).toEqual(['/home/user']);
      expect(lines[1]).not.toBe('0');
      expect(lines.slice(2)).toEqual(['user', 'ran', '4', 'readonly', '4', '4']);
      // The next task of the run finds what this one left.
      await machine.startTask(
        run,
        launchOf(image, sh('pwd; cat /tmp/t y'), { launchNumber: 1, workdir: '/home/user/some/dir, x' }),
      );
      await resultOf(watch, run, 1);
      expect((await output(watch, run)).trim().split('\n').slice(-3)).toEqual(['/home/user/some/dir, x', 'x', 'y']);
    });

    it('refuses to bind a link that leads out of scratch', async () => {
      const run = newRun();
      const { machine } = transport;
      await machine.startTask(run, launchOf(image, sh('ln -s /etc out')));
      await resultOf(watch, run);
      const second = { launchNumber: 1, binds: [{ source: 'out', target: '/mnt' }] };
      await machine.startTask(run, launchOf(image, sh('ls /mnt'), second));
      expect(await resultOf(watch, run, 1)).toMatchObject({ exitCode: 255 });
      expect(await output(watch, run, 'stderr')).toContain('cannot bind out');
    });

    it("binds no folder of others, and none that the runtime would read as two, whatever a job's links are called", async () => {
      const { machine } = transport;
      const [victim, run] = [newRun(), newRun()];
      for (const each of [victim, run]) {
        await machine.startTask(each, launchOf(image, sh('echo secret-4752 > result')));
        await resultOf(watch, each);
      }
      // What is looked at is `x` and a line break, which a shell drops at the end of an answer.
      await transport.shell(
        `cd runs/${runToken(run)}/home && x=$(printf 'x\n.') && mkdir "\${x%.}" && ln -s "\${x%.}" out &&
         ln -s ../../${runToken(victim)}/home x && mkdir -p 'q","src=/etc' && ln -s 'q","src=/etc' quoted &&
         ln -s ../../${runToken(victim)} other && mkdir -p real/a && ln -s real/a inner`,
      );
      let launchNumber = 0;
      const bound = async (source: string) => {
        launchNumber += 1;
        const line = 'cat /mnt/result /mnt/passwd; echo was here > /mnt/left';
        await machine.startTask(run, launchOf(image, sh(line), { launchNumber, binds: [{ source, target: '/mnt' }] }));
        return (await resultOf(watch, run, launchNumber)).exitCode;
      };
      for (const source of ['other/killed/out', 'other/home', '..', 'inner/../../../..']) {
        expect(await bound(source), source).toBe(255);
      }
      // A folder is made, and found, in the folder that the links lead to, whatever that is called.
      for (const source of ['inner/../b', 'inner/new', 'out', 'quoted']) expect(await bound(source), source).toBe(0);
      expect(await output(watch, run)).toBe('');
      expect(
        await transport.shell(
          `cd runs/${runToken(run)}/home/real && cat b/left a/new/left ../*src=*/etc/left ../x?/left`,
        ),
      ).toBe('was here\n'.repeat(4));
      expect(
        await transport.shell(`ls runs/${runToken(victim)} runs/${runToken(victim)}/home | grep -x -e killed -e left`),
      ).toBe('');
    });

    it('starts a task once however often and from wherever it is asked to', async () => {
      const run = newRun();
      const launch = launchOf(image, sh('echo started >> starts; sleep 1'));
      const other = transport.another();
      const answers = await Promise.all(
        [1, 2, 3, 4].map((n) => (n % 2 ? transport.machine : other).startTask(run, launch)),
      );
      answers.push(await transport.machine.startTask(run, launch));
      await resultOf(watch, run);
      answers.push(await transport.machine.startTask(run, launch));
      expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
      expect(await transport.shell(`cat runs/${runToken(run)}/home/starts`)).toBe('started\n');
    });

    it('ends a task at its walltime with TERM and leaves it time to save', async () => {
      const run = newRun();
      const line = 'trap "echo saved; exit 3" TERM; echo ready; while :; do sleep 0.1; done';
      await transport.machine.startTask(run, launchOf(image, sh(line), { walltimeSeconds: 10, killGraceSeconds: 60 }));
      expect(await resultOf(watch, run)).toMatchObject({ exitCode: 3, cause: 'walltime' });
      expect(await output(watch, run)).toBe('ready\nsaved\n');
    });

    it('kills a task that takes more memory than it may', async () => {
      const run = newRun();
      const line = 'x=$(head -c 300000000 /dev/zero | tr "\\0" x); sleep 30';
      await transport.machine.startTask(run, launchOf(image, sh(line), { memoryBytes: 150e6 }));
      const result = await resultOf(watch, run);
      expect(result).toMatchObject({ exitCode: 137, cause: 'memory' });
      expect(result.maxResidentSetSizeKb).toBeGreaterThan(146_000);
    });

    it('counts memory that is shared once, also while processes end or nobody waits for one that did', async () => {
      const run = newRun();
      // All of them have the pages of the same program resident. The parent of `true` is a program that waits for none.
      const line =
        'i=0; while [ $((i += 1)) -lt 60 ]; do sleep 4 & done; (true & exec sleep 4) & for i in 1 2 3 4 5 6 7 8 9; do true & sleep 0.2; done; echo done';
      await transport.machine.startTask(run, launchOf(image, sh(line), { memoryBytes: 20e6 }));
      const result = await resultOf(watch, run);
      expect(result).toMatchObject({ exitCode: 0, cause: 'exited' });
      // Added up one by one it would have been too much.
      expect(result.maxResidentSetSizeKb).toBeGreaterThan(20_000);
    });

    it('kills a container that ignores TERM after the grace', async () => {
      const run = newRun();
      await transport.machine.startTask(
        run,
        launchOf(image, sh('trap "" TERM; echo ready; while :; do sleep 31; done')),
      );
      await until(async () => (await output(watch, run)) === 'ready\n', 'the task runs');
      await transport.machine.killRun(run, 1);
      expect(await observe(watch, run)).toMatchObject({
        state: 'finished',
        result: { exitCode: 137, cause: 'killed' },
      });
      expect(await processesWith(`${runToken(run)}`)).toBe('');
      await transport.machine.killRun(run, 1);
      const next = await transport.machine.startTask(run, launchOf(image, sh('true'), { launchNumber: 1 }));
      expect(next).toEqual({ kind: 'killed' });
    });

    it('forbids the start of a run that was killed before', async () => {
      const run = newRun();
      await transport.machine.killRun(run, 1);
      expect(await transport.machine.startTask(run, launchOf(image, sh('true')))).toEqual({ kind: 'killed' });
      expect(await observe(watch, run)).toBeUndefined();
    });

    it('leaves no process of a task that made daemons', async () => {
      const run = newRun();
      const line = `setsid sleep ${nap}1 & (setsid sh -c "trap \\"\\" TERM HUP; sleep ${nap}2; :" &) ; sleep 0.3; exit 5`;
      await transport.machine.startTask(run, launchOf(image, sh(line)));
      expect(await resultOf(watch, run)).toMatchObject({ exitCode: 5 });
      expect(await processesWith(`sleep.${nap}[12]`)).toBe('');
      expect(await sessionOf(run)).toBe('');

      const killed = newRun();
      await transport.machine.startTask(killed, launchOf(image, sh(line.replace('exit 5', `echo up; sleep ${nap}3`))));
      await until(async () => (await output(watch, killed)) === 'up\n', 'the daemons run');
      await transport.machine.killRun(killed, 0);
      expect(await processesWith(`sleep.${nap}[123]`)).toBe('');
      expect(await sessionOf(killed)).toBe('');
    });

    it('reports a task as lost when its supervisor was killed, and leaves nothing of it', async () => {
      const run = newRun();
      await transport.machine.startTask(run, launchOf(image, sh(`sleep ${nap}1 & sleep ${nap}2`)));
      await until(async () => (await processesWith(`sleep.${nap}2`)) !== '', 'the task runs');
      const directory = `runs/${runToken(run)}/tasks/0`;
      await transport.shell(`read -r pid _ <${directory}/started; kill -KILL "$pid"`);
      expect(await ended(watch, run)).toMatchObject({ state: 'lost' });
      expect(await processesWith(`sleep.${nap}[12]`)).toBe('');
      expect(await observe(watch, run)).toMatchObject({ state: 'lost' });
    });

    it('kills what a dead supervisor left', async () => {
      const run = newRun();
      await transport.machine.startTask(run, launchOf(image, sh(`trap "" TERM; while :; do sleep ${nap}; done`)));
      await until(async () => (await processesWith(`sleep.${nap}`)) !== '', 'the task runs');
      const directory = `runs/${runToken(run)}/tasks/0`;
      await transport.shell(`read -r pid _ <${directory}/started; kill -KILL "$pid"`);
      await transport.machine.killRun(run, 1);
      expect(await processesWith(`sleep.${nap}`)).toBe('');
      // Also the part of it that watched the limits.
      await until(async () => (await processesWith(runToken(run))) === '', 'the supervisor is gone');
    });

    it('ends a task whose folder was deleted', async () => {
      const run = newRun();
      await transport.machine.startTask(run, launchOf(image, sh(`sleep ${nap}`)));
      await until(async () => (await processesWith(`sleep.${nap}`)) !== '', 'the task runs');
      await transport.shell(`rm -rf runs/${runToken(run)}`);
      await until(async () => (await processesWith(`sleep.${nap}`)) === '', 'the task is gone');
      await until(async () => (await processesWith(runToken(run))) === '', 'the supervisor is gone');
    });

    it('reports a task of an earlier boot as lost', async () => {
      const run = newRun();
      await transport.shell(
        `mkdir -p runs/${runToken(run)}/tasks/0; echo '1 1 another-boot 1.5' > runs/${runToken(run)}/tasks/0/started`,
      );
      expect(await observe(watch, run)).toMatchObject({ state: 'lost', detail: 'the machine restarted' });
    });

    it('reads output by byte offset, exactly, while the task runs', async () => {
      const run = newRun();
      const line =
        'head -c 100000 /dev/zero | tr "\\0" "\\377"; printf "\\n.\\nend\\n"; until [ -e go ]; do sleep 0.05; done';
      await transport.machine.startTask(run, launchOf(image, sh(line)));
      await until(async () => (await watch.read(run, 'stdout', 0, 200_000)).length === 100_007, 'all was written');
      expect(await watch.read(run, 'stdout', 0, 3)).toEqual(Buffer.from([255, 255, 255]));
      expect((await watch.read(run, 'stdout', 100_000, 100)).toString()).toBe('\n.\nend\n');
      expect(await watch.read(run, 'stdout', 100_007, 100)).toEqual(Buffer.alloc(0));
      const [observed] = (await watch.list()).filter(({ run: { jobId } }) => jobId === run.jobId);
      expect(observed).toMatchObject({ stdoutBytes: 100_007, stderrBytes: 0, tasks: [{ state: 'running' }] });
      await transport.shell(`: >runs/${runToken(run)}/home/go`);
      await resultOf(watch, run);
    });

    it('wakes every watch when a task ends, and none before', async () => {
      const second = await transport.another().watch(deployment);
      const run = newRun();
      await transport.machine.startTask(run, launchOf(image, sh('until [ -e go ]; do sleep 0.05; done')));
      // What an earlier task told is not waited for; this one ends when it is told to.
      await Promise.all([watch.waitForChange(0), second.waitForChange(0)]);
      await transport.shell(`: >runs/${runToken(run)}/home/go`);
      const began = Date.now();
      await Promise.all([watch.waitForChange(90_000), second.waitForChange(90_000)]);
      expect(Date.now() - began).toBeLessThan(80_000);
      expect(await observe(second, run)).toMatchObject({ state: 'finished' });
      second.close();
      await second.ended;
    });

    it('removes runs, also running ones and folders without permission', async () => {
      const finished = newRun();
      const running = newRun();
      await transport.machine.startTask(finished, launchOf(image, sh('mkdir -p a/b; touch a/b/c; chmod 0 a/b a')));
      await resultOf(watch, finished);
      await transport.machine.startTask(running, launchOf(image, sh(`sleep ${nap}`)));
      await until(async () => (await processesWith(`sleep.${nap}`)) !== '', 'the task runs');
      await watch.remove([finished, running, newRun()]);
      expect(await processesWith(`sleep.${nap}`)).toBe('');
      const left = (await watch.list()).map(({ run }) => run.jobId);
      expect(left).not.toContain(finished.jobId);
      expect(left).not.toContain(running.jobId);
      expect(await transport.shell(`ls runs removed | grep -e ${runToken(finished)} -e ${runToken(running)}`)).toBe('');
    });

    /** The program that removes does what the line says first, when it is to remove what is of a run. */
    const withOtherRm = async (run: RunRef, line: string, test: () => Promise<void>) => {
      await transport.shell(
        `mkdir programs && printf '%s\n' '#!/bin/sh' 'case "$*" in *${runToken(run)}*) ${line} ;; esac' 'exec /bin/rm "$@"' >programs/rm && chmod +x programs/rm
         for each in lib/*/processes.sh; do cp $each saved; echo 'case $PATH in *programs*) ;; *) PATH=$PWD/programs:$PATH ;; esac' >>$each; done`,
      );
      try {
        await test();
      } finally {
        await transport.shell('for each in lib/*/processes.sh; do mv saved $each; done; rm -r programs');
      }
    };
    const isGone = (run: RunRef) => async () =>
      (await transport.shell(`ls runs removed | grep ${runToken(run)}`)) === '';

    it('answers while a large run is removed, and takes a removal up again that was cut short', async () => {
      const [large, other] = [newRun(), newRun()];
      await transport.machine.startTask(large, launchOf(image, sh('mkdir -p a/b; touch a/b/c; chmod 0 a')));
      await resultOf(watch, large);
      await transport.machine.startTask(other, launchOf(image, sh('echo said')));
      await resultOf(watch, other);
      await withOtherRm(large, 'while [ -e hold ]; do sleep 0.05; done', async () => {
        await transport.shell(': >hold');
        const busy = await transport.machine.watch(deployment);
        const began = Date.now();
        await busy.remove([large, other]);
        expect((await busy.list()).map(({ run }) => run.jobId)).not.toContain(large.jobId);
        await busy.list();
        expect(Date.now() - began).toBeLessThan(10_000);
        // Whoever removes it is killed, with all that it started.
        const remover = async () =>
          (await transport.shell(`ls removed | grep ${runToken(large)}`)).trim().split('.').at(-2);
        await until(async () => ![undefined, '0'].includes(await remover()), 'somebody removes it');
        await transport.shell(`kill -KILL -${await remover()}; /bin/rm hold`);
        busy.close();
        expect(await isGone(large)()).toBe(false);
        const next = await transport.machine.watch(deployment);
        await until(isGone(large), 'the next watch has it removed');
        next.close();
        await until(isGone(other), 'the other one is removed as well');
      });
    });

    it('says which run could not be removed, whenever that came out, and tries it again', async () => {
      const [once, late, other] = [newRun(), newRun(), newRun()];
      for (const run of [once, late, other]) {
        await transport.machine.startTask(run, launchOf(image, sh('true')));
        await resultOf(watch, run);
      }
      const refuse = '[ ! -e refuse ] || { echo no >&2; exit 1; }';
      await transport.shell(': >refuse');
      await withOtherRm(once, refuse, async () => {
        const second = await transport.machine.watch(deployment);
        await expect(second.remove([once])).rejects.toThrow(`could not remove runs/${runToken(once)}: no`);
        second.close();
      });
      await withOtherRm(late, `while [ -e hold ]; do sleep 0.05; done; ${refuse}`, async () => {
        await transport.shell(': >hold');
        const second = await transport.machine.watch(deployment);
        await second.remove([late]);
        await transport.shell('rm hold');
        const told = () =>
          second.remove([other]).then(
            () => undefined,
            (error: Error) => error.message,
          );
        let words: string | undefined;
        await until(async () => (words = await told()) !== undefined, 'it is told');
        expect(words).toContain(`could not remove runs/${runToken(late)}: no`);
        second.close();
      });
      await transport.shell('rm refuse');
      const next = await transport.machine.watch(deployment);
      for (const run of [once, late, other]) await until(isGone(run), 'it is removed in the end');
      next.close();
    });

    it('does not see runs of another deployment', async () => {
      const run = { ...newRun(), deployment: 'other' };
      await transport.machine.startTask(run, launchOf(image, sh('true')));
      expect((await watch.list()).some(({ run: { jobId } }) => jobId === run.jobId)).toBe(false);
      const other = await transport.machine.watch('other');
      await resultOf(other, run);
      await other.remove([run]);
      other.close();
    });

    it('takes no part of an image for the image, where it had to be copied and that was interrupted', async () => {
      const run = newRun();
      const start = () => transport.machine.startTask(run, launchOf(image, sh('echo ran')));
      const dying = 'ln() { return 1; }; cp() { head -c 100 "$1" >"$2"; kill -KILL $$; }';
      await transport.shell(`for each in lib/*/processes.sh; do cp $each saved; echo '${dying}' >>$each; done`);
      try {
        await expect(start()).rejects.toThrow('no answer');
        await transport.shell("sed -i 's/cp() .*//' lib/*/processes.sh");
        expect(await start()).toMatchObject({ kind: 'started' });
      } finally {
        await transport.shell('for each in lib/*/processes.sh; do mv saved $each; done');
      }
      expect(await resultOf(watch, run)).toMatchObject({ exitCode: 0 });
    });

    it('asks for an image that the cache does not hold', async () => {
      const launch = launchOf({ ...image, fileSha256: '0'.repeat(64) }, sh('true'));
      expect(await transport.machine.startTask(newRun(), launch)).toEqual({ kind: 'imageMissing' });
    });

    it('keeps secrets off every command line', async () => {
      const run = newRun();
      const line = 'echo up; until [ -e go ]; do sleep 0.05; done';
      const launch = launchOf(image, sh(line), { env: { TOKEN: 'very-secret-4751' } });
      const started = transport.machine.startTask(run, launch);
      const seen = await processesWith('very-secret-4751');
      await started;
      await until(async () => (await output(watch, run)) === 'up\n', 'the task runs');
      expect(seen + (await processesWith('very-secret-4751'))).toBe('');
      expect(await transport.shell(`grep -r -l very-secret-4751 runs/${runToken(run)}`)).toBe('');
      await transport.shell(`: >runs/${runToken(run)}/home/go`);
      await resultOf(watch, run);
    });
  });
}
