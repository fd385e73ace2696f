/** Where the output of tasks goes, over any kind of host. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runToken, type RunRef } from '../../../domain/runs.ts';
import type { MachineWatch, PulledImage } from '../../../hosts/machine.ts';
import { deployment, launchOf, newRun, output, pullBusybox, resultOf, sh, until } from './runs.ts';
import type { Transport } from './transports.ts';

export function describeOutput(name: string, open: () => Promise<Transport>): void {
  describe(`output on ${name}`, () => {
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
    const inScratch = (run: RunRef, line: string) => transport.shell(`cd runs/${runToken(run)}/home && ${line}`);
    const sizeOf = async (run: RunRef) => Number(await transport.shell(`stat -c %s runs/${runToken(run)}/stdout`));

    it("appends a task's output to its file while it runs, and shows it in the job's stream", async () => {
      const run = newRun();
      const stdoutFile = 'logs of/a task.txt';
      const line =
        'echo out; echo err >&2; while [ ! -e go ]; do sleep 0.05; done; printf "\\377\\000no newline"; exit 3';
      await transport.machine.startTask(run, launchOf(image, sh(line), { stdoutFile }));
      await until(async () => (await inScratch(run, `cat '${stdoutFile}'`)) === 'out\nerr\n', 'it is there at once');
      expect(await output(watch, run)).toBe('out\nerr\n');
      await inScratch(run, 'touch go');
      expect(await resultOf(watch, run)).toMatchObject({ exitCode: 3 });
      await transport.machine.startTask(run, launchOf(image, sh('echo second'), { stdoutFile, launchNumber: 1 }));
      await resultOf(watch, run, 1);
      const all = Buffer.concat([Buffer.from('out\nerr\n'), Buffer.from([255, 0]), Buffer.from('no newlinesecond\n')]);
      expect(await watch.read(run, 'stdout', 0, 1000)).toEqual(all);
      expect(await inScratch(run, `base64 -w 0 '${stdoutFile}'`)).toBe(all.toString('base64'));
      expect(await output(watch, run, 'stderr')).toBe('');
    });

    it.each([
      ['a link to a file outside', 'ln -s ../tasks/0/victim x', 'x'],
      ['a link to nothing outside', 'ln -s ../tasks/0/new x', 'x'],
      ['a folder that is a link outside', 'ln -s ../tasks/0 d', 'd/victim'],
      ['a folder', 'mkdir x', 'x'],
      ['a pipe that nobody reads', 'mkfifo x', 'x'],
      ['a way out', 'true', '../tasks/0/new'],
    ])('does not run a task whose stdout is %s', async (_, made, stdoutFile) => {
      const run = newRun();
      await transport.machine.startTask(run, launchOf(image, sh(made)));
      await resultOf(watch, run);
      await transport.shell(`echo mine >runs/${runToken(run)}/tasks/0/victim`);
      await transport.machine.startTask(run, launchOf(image, sh('echo ran'), { stdoutFile, launchNumber: 1 }));
      expect(await resultOf(watch, run, 1)).toMatchObject({ exitCode: 255, cause: 'exited' });
      expect(await output(watch, run)).toBe('');
      expect(await output(watch, run, 'stderr')).toContain('stdout of the task is no file in the scratch directory');
      expect(
        await transport.shell(`cat runs/${runToken(run)}/tasks/0/victim; ls runs/${runToken(run)}/tasks/0/new`),
      ).toBe('mine\n');
    });

    it("makes and writes nothing in others' runs for a task whose stdout leads there", async () => {
      const [victim, run] = [newRun(), newRun()];
      for (const each of [victim, run]) {
        await transport.machine.startTask(each, launchOf(image, sh('echo mine > result')));
        await resultOf(watch, each);
      }
      await inScratch(
        run,
        `x=$(printf 'x\n.') && mkdir "\${x%.}" && ln -s "\${x%.}" data && ln -s ../../${runToken(victim)}/home x &&
         ln -s ../../${runToken(victim)} other`,
      );
      const start = (stdoutFile: string, launchNumber: number) =>
        transport.machine.startTask(run, launchOf(image, sh('echo ran'), { stdoutFile, launchNumber }));
      await start('other/killed/out', 1);
      expect(await resultOf(watch, run, 1)).toMatchObject({ exitCode: 255 });
      await start('data/result', 2);
      expect(await resultOf(watch, run, 2)).toMatchObject({ exitCode: 0 });
      expect(await inScratch(victim, 'cat result; ls -d ../killed 2>/dev/null')).toBe('mine\n');
      // The folder has that name, and is the job's own.
      expect(await inScratch(run, 'cat x?/result')).toBe('ran\n');
    });

    it('tells of the end of a task only together with all that it wrote', async () => {
      const run = newRun();
      const directory = `runs/${runToken(run)}`;
      await transport.machine.startTask(run, launchOf(image, sh('while [ ! -e go ]; do sleep 0.02; done; echo last')));
      // It ends at the worst moment: when a list has just looked at how much there is.
      const end = `touch ${directory}/home/go; until [ -e ${directory}/tasks/0/exit.json ]; do sleep 0.02; done`;
      await transport.shell(
        `for each in lib/*/processes.sh; do cp $each saved; echo 'stat() { command stat "$@"; ${end}; }' >>$each; done`,
      );
      const observed = async (by: MachineWatch) => (await by.list()).find(({ run: { jobId } }) => jobId === run.jobId);
      const second = await transport.machine.watch(deployment);
      try {
        expect(await observed(second)).toMatchObject({ stdoutBytes: 0, tasks: [{ state: 'running' }] });
      } finally {
        second.close();
        await transport.shell('for each in lib/*/processes.sh; do mv saved $each; done');
      }
      expect(await observed(watch)).toMatchObject({ stdoutBytes: 5, tasks: [{ state: 'finished' }] });
    });

    it.each([[undefined], ['copy']])(
      'keeps what was written before a task opens /dev/stdout or /dev/stderr anew (its copy: %s)',
      async (stdoutFile) => {
        const run = newRun();
        const line =
          'echo one; echo two >/dev/stdout; echo three >>/dev/fd/1; echo 1 >&2; echo 2 | tee /dev/stderr >/dev/null; echo 3 >/dev/stderr; echo four';
        await transport.machine.startTask(
          run,
          launchOf(image, sh(line), stdoutFile === undefined ? {} : { stdoutFile }),
        );
        expect(await resultOf(watch, run)).toMatchObject({ exitCode: 0 });
        const [out, err] = ['one\ntwo\nthree\n', '1\n2\n3\n'];
        expect(await output(watch, run)).toBe(stdoutFile === undefined ? `${out}four\n` : `${out}${err}four\n`);
        expect(await output(watch, run, 'stderr')).toBe(stdoutFile === undefined ? err : '');
        // Neither does it escape the bound.
        const flood = 'head -c 3000000 /dev/zero >/dev/stdout; head -c 3000000 /dev/zero >/dev/stderr';
        await transport.machine.startTask(run, launchOf(image, sh(flood), { outputBytes: 1_000_000, launchNumber: 1 }));
        expect(await resultOf(watch, run, 1)).toMatchObject({ exitCode: 0 });
        expect(await sizeOf(run)).toBe(1_000_000);
      },
    );

    it('shows output as it comes, and loses nothing of it at the end or at a kill', async () => {
      const lines = (count: number) => Array.from({ length: count }, (_, index) => `${index + 1}\n`).join('');
      const whole = newRun();
      await transport.machine.startTask(
        whole,
        launchOf(image, sh('printf here; until [ -e go ]; do sleep 0.02; done; seq 50000')),
      );
      await until(async () => (await output(watch, whole)) === 'here', 'the first bytes are there');
      await inScratch(whole, 'touch go');
      await resultOf(watch, whole);
      expect(await output(watch, whole)).toBe(`here${lines(50_000)}`);
      const killed = newRun();
      await transport.machine.startTask(
        killed,
        launchOf(image, sh('seq 50000; seq 50000 >&2; touch done; sleep 4764')),
      );
      await until(async () => (await inScratch(killed, 'ls')) === 'done\n', 'all was written');
      await transport.machine.killRun(killed, 0);
      expect(await output(watch, killed)).toBe(lines(50_000));
      expect(await output(watch, killed, 'stderr')).toBe(lines(50_000));
    });

    it('ends a task that copies its output like any other', async () => {
      const run = newRun();
      const line = 'trap "" TERM; echo up; (setsid sleep 4761 &); while :; do sleep 4762; done';
      await transport.machine.startTask(run, launchOf(image, sh(line), { stdoutFile: 'x' }));
      await until(async () => (await output(watch, run)) === 'up\n', 'the task runs');
      await transport.machine.killRun(run, 0);
      expect(await resultOf(watch, run)).toMatchObject({ exitCode: 137, cause: 'killed' });
      expect(await transport.shell("grep -l -a -e '[4]76[12]' /proc/[0-9]*/cmdline 2>/dev/null")).toBe('');
    });

    it('keeps of 200 MB of output what was asked for, and the task runs on', async () => {
      const run = newRun();
      const line =
        'head -c 200000000 /dev/zero | tr "\\0" "x"; head -c 200000000 /dev/zero >&2; sleep 1.2; echo last; exit 4';
      await transport.machine.startTask(run, launchOf(image, sh(line), { outputBytes: 1_000_000 }));
      expect(await resultOf(watch, run)).toMatchObject({ exitCode: 4 });
      expect(await sizeOf(run)).toBe(1_000_000);
      expect((await watch.read(run, 'stdout', 999_990, 100)).toString()).toBe('xxxxxxxxxx');
      expect(Number(await transport.shell(`stat -c %s runs/${runToken(run)}/stderr`))).toBe(1_000_000);
      // The next task adds nothing either.
      await transport.machine.startTask(
        run,
        launchOf(image, sh('echo more'), { outputBytes: 1_000_000, launchNumber: 1 }),
      );
      await resultOf(watch, run, 1);
      expect(await sizeOf(run)).toBe(1_000_000);
    });
  });
}
