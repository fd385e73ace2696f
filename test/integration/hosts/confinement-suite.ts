/** What a container can touch and take, tried from inside as an attacker would, over every runtime. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runToken, type RunRef } from '../../../domain/runs.ts';
import type { ContainerRuntime } from '../../../domain/description.ts';
import type { MachineWatch, PulledImage, TaskLaunch } from '../../../hosts/machine.ts';
import { deployment, launchOf, nap, newRun, output, pullBusybox, resultOf, sh, until } from './runs.ts';
import type { Transport } from './transports.ts';

interface Kind {
  runtime: ContainerRuntime;
  /** Folders of the job can be bound while something of it runs. */
  bindsBesides: boolean;
  /** The machine's kernel makes a container only so many processes; docker's daemon has it do so, where it is one. */
  holdsProcesses: boolean;
  /** Limits of a process are those that it was started with, or docker's daemon sets them; podman in its place does not. */
  holdsOpenFiles: boolean;
  /** Files in /dev/shm are memory. */
  hasMemoryInShm: boolean;
  /** The transport's own program stands before the runtime's, and runs `meantime` of the work directory first. */
  open: () => Promise<Transport>;
}

export function describeConfinement(
  name: string,
  { runtime, bindsBesides, holdsProcesses, holdsOpenFiles, hasMemoryInShm, open }: Kind,
): void {
  describe(`confinement of ${name}`, () => {
    let transport: Transport;
    let image: PulledImage;
    let watch: MachineWatch;
    beforeAll(async () => {
      transport = await open();
      image = await pullBusybox(transport, runtime);
      watch = await transport.machine.watch(deployment);
    });
    afterAll(async () => {
      watch?.close();
      await transport?.close();
    });
    const launch = (line: string, changes: Partial<TaskLaunch> = {}) =>
      launchOf(image, sh(line), { runtime, ...changes });
    const start = (run: RunRef, line: string, changes: Partial<TaskLaunch> = {}) =>
      transport.machine.startTask(run, launch(line, changes));
    const begun = async (run: RunRef, line: string, changes: Partial<TaskLaunch> = {}) => {
      await start(run, `${line}${line.endsWith('& ') ? '' : ';'} echo begun; while :; do sleep 0.2; done`, changes);
      await until(async () => (await output(watch, run)).includes('begun\n'), 'the task runs');
    };
    const exec = async (run: RunRef, line: string, changes: Partial<TaskLaunch> = {}, memoryBytes = 1e9) => {
      let said = '';
      const result = await transport.machine.exec(run, {
        launch: () => Promise.resolve(launch(line, changes)),
        limitSeconds: 60,
        memoryBytes,
        onOutput: (bytes) => {
          said += bytes.toString();
          return Promise.resolve(true);
        },
      });
      return { said, result };
    };
    /** What happens between the look at a folder and the start of the runtime. */
    const meanwhile = async (line: string, test: () => Promise<void>) => {
      await transport.shell(`printf '%s\\n' '${line}' >meantime`);
      try {
        await test();
      } finally {
        await transport.shell('rm -f meantime');
      }
    };
    const victim = async () => {
      const run = newRun();
      await start(run, 'echo secret-4752 >result');
      await resultOf(watch, run);
      return run;
    };
    /** Both what is bound itself, and the folder that it is in, are links from then on. */
    const exchange = (home: string, target: string) =>
      `[ -L ${home}/a ] || { mkdir ${home}/t; ln -s ${target} ${home}/t/b; mv ${home}/a ${home}/was; ln -s t ${home}/a; }`;
    const binds = [{ source: 'a/b', target: '/mnt' }];

    it('a folder that is exchanged for a link before the runtime opens it is no way to others’ files', async () => {
      const other = await victim();
      const run = newRun();
      await start(run, 'mkdir -p a/b; echo mine >a/b/own');
      await resultOf(watch, run);
      const home = `runs/${runToken(run)}/home`;
      for (const [index, target] of [`$PWD/runs/${runToken(other)}/home`, '$PWD/lib'].entries()) {
        const launchNumber = index + 1;
        const line = exchange(home, target);
        await meanwhile(line, async () => {
          await start(run, 'cat /mnt/result; ls /mnt; echo x >/mnt/left', { launchNumber, binds });
          await resultOf(watch, run, launchNumber);
        });
        await transport.shell(`rm -r ${home}/a ${home}/t; mv ${home}/was ${home}/a`);
      }
      const said = await output(watch, run);
      expect(said).not.toContain('secret-4752');
      expect(said).not.toContain('result');
      expect(await transport.shell(`ls lib runs/${runToken(other)}/home | grep left`)).toBe('');
    });

    it('a command beside the task binds what the task can exchange, or is refused', async () => {
      const other = await victim();
      const run = newRun();
      await begun(run, 'mkdir -p a/b; echo mine >a/b/own', { binds });
      const home = `runs/${runToken(run)}/home`;
      const plain = await exec(run, 'cat /mnt/own', { binds });
      expect(plain.said.trim()).toBe(
        bindsBesides
          ? 'mine'
          : 'this machine can bind folders of the job only while nothing else of the job runs on it\ncannot bind a/b at /mnt',
      );
      await meanwhile(exchange(home, `$PWD/runs/${runToken(other)}/home`), async () => {
        const { said } = await exec(run, 'cat /mnt/result; echo x >/mnt/left', { binds });
        expect(said).not.toContain('secret-4752');
      });
      expect(await transport.shell(`ls runs/${runToken(other)}/home`)).toBe('result\n');
      await transport.machine.killRun(run, 0);
    });

    it('nothing of the account can be named or written from inside', async () => {
      const other = await victim();
      const run = newRun();
      const work = (await transport.shell('pwd')).trim();
      const paths = [`${work}/runs/${runToken(other)}/home/result`, `${work}/lib`, `${work}/images`, work];
      const ways = ['', '/proc/1/root', '/proc/self/root', '/proc/$$/root', '/home/user/up', '/proc/1/cwd/../../../..'];
      const lines = ways.flatMap((way) =>
        paths.map(
          (path) =>
            `cat "${way}${path}" 2>/dev/null; ls "${way}${path}" 2>/dev/null; echo x 2>/dev/null >"${way}${path}/crept-in"`,
        ),
      );
      await start(run, `ln -s / up; ${lines.join('; ')}; true`);
      expect(await resultOf(watch, run)).toMatchObject({ exitCode: 0 });
      expect(await output(watch, run)).not.toMatch(/secret-4752|supervise|index|runs/);
      expect(await transport.shell('find . -name crept-in')).toBe('');
    });

    it('has as much room in /var/tmp as in /tmp, apart from it and from others', async () => {
      const run = newRun();
      const line =
        'df /tmp /var/tmp | tail -n +2 | while read a b c; do echo $b; done | uniq | wc -l; echo x >/var/tmp/f; ls /tmp';
      await start(run, line);
      expect(await resultOf(watch, run)).toMatchObject({ exitCode: 0 });
      await start(run, 'cat /var/tmp/f', { launchNumber: 1 });
      expect(await resultOf(watch, run, 1)).toMatchObject({ exitCode: 0 });
      expect(await output(watch, run)).toBe('1\nx\n');
    });

    it('counts as memory what is in memory as files', async () => {
      const run = newRun();
      const fill =
        'i=0; while [ $((i += 1)) -le 30 ]; do dd if=/dev/zero of=/dev/shm/f$i bs=10M count=1 2>/dev/null || exit 7; sleep 0.02; done';
      await start(run, `${fill}; sleep 12; echo survived`, { memoryBytes: 150e6 });
      const result = await resultOf(watch, run);
      if (!hasMemoryInShm) {
        expect(result).toMatchObject({ exitCode: 0, cause: 'exited' });
        return;
      }
      expect([
        { exitCode: result.exitCode, cause: result.cause },
        { exitCode: 7, cause: 'exited' },
      ]).toContainEqual(
        result.cause === 'memory' ? { exitCode: 137, cause: 'memory' } : { exitCode: 7, cause: 'exited' },
      );
      expect(await output(watch, run)).not.toContain('survived');
    });

    it('counts memory that is mapped from a file once', async () => {
      const run = newRun();
      // A program that is in /dev/shm itself: its pages are in the file system and in its processes.
      const line =
        'head -c 40000000 /dev/zero >/dev/shm/big; cat /bin/busybox >/dev/shm/b; chmod +x /dev/shm/b; for i in 1 2 3 4; do /dev/shm/b sleep 6 & done; wait; echo done';
      await start(run, line, { memoryBytes: 60e6 });
      expect(await resultOf(watch, run)).toMatchObject({ exitCode: 0, cause: 'exited' });
    });

    it('ends a run that has too many processes, soon, and others go on', async () => {
      const small = transport.another({ mostProcesses: 300 });
      const [bystander, run] = [newRun(), newRun()];
      await start(bystander, 'i=0; while [ $((i += 1)) -le 40 ]; do sleep 0.2; done; exit 5');
      // Where nothing holds them, those of the whole machine would be starved together with these tests. What is held stays
      // as it is: a shell that can't fork ends, and a bomb of nothing but shells may be over before anybody looked.
      const sleepers = `while :; do sleep ${nap} & done`;
      const bomb = holdsProcesses ? `f() { f & f & (${sleepers}); wait; }; (f); exec sleep ${nap}` : sleepers;
      const began = Date.now();
      await small.startTask(run, launch(bomb));
      expect(await resultOf(watch, run)).toMatchObject({ exitCode: 137, cause: 'processes', mostProcesses: 300 });
      expect(Date.now() - began).toBeLessThan(120_000);
      expect(await resultOf(watch, bystander)).toMatchObject({ exitCode: 5, cause: 'exited' });
    });

    if (holdsOpenFiles) {
      it('opens no more files in a process than may be, neither in a task nor in a command', async () => {
        const run = newRun();
        const line = 'test $(ulimit -Hn) -le 16384 && test $(ulimit -Sn) -le 16384 && echo bounded';
        await begun(run, line);
        expect(await output(watch, run)).toBe('bounded\nbegun\n');
        expect((await exec(run, line)).said).toBe('bounded\n');
        await transport.machine.killRun(run, 0);
        await resultOf(watch, run);
      });
    }

    it('a command counts with its run, and goes before the task does', async () => {
      const run = newRun();
      const memory = { memoryBytes: 200e6 };
      // A program that has its block, and nobody who takes it.
      const hold = 'dd if=/dev/zero bs=120M count=1 2>/dev/null | sleep 1000 & ';
      await begun(run, hold, memory);
      const { result } = await exec(run, `${hold} sleep 60`, memory, 200e6);
      expect(result).toMatchObject({ kind: 'ended', cause: 'memory' });
      expect((await exec(run, 'echo goes on', memory, 200e6)).said).toBe('goes on\n');
      await transport.machine.killRun(run, 0);
      expect(await resultOf(watch, run)).toMatchObject({ cause: 'killed' });
    });
  });
}
