/** podman and docker in place of apptainer and udocker: what differs from them, and that nothing of theirs is left. */
import { readFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { extract, pack } from 'tar-stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runToken, type RunRef } from '../../../domain/runs.ts';
import type { ImageRequest, ImageSource, MachineWatch, PulledImage, TaskLaunch } from '../../../hosts/machine.ts';
import { buildBusybox, type BuiltImage } from '../../ground/images.ts';
import { startRegistry, type TestRegistry } from '../../ground/registry.ts';
import { deployment, ended, launchOf, nap, newRun, output, resultOf, sh, until } from './runs.ts';
import { engineTransport, type Transport } from './transports.ts';

const credentials = { username: 'puller', password: `s3cret,"'$x` };

export function describeEngine(program: 'podman' | 'docker'): void {
  describe(program, () => {
    let transport: Transport;
    let busybox: BuiltImage;
    let registry: TestRegistry;
    let watch: MachineWatch;
    let image: PulledImage;
    beforeAll(async () => {
      transport = await engineTransport(program);
      busybox = await buildBusybox();
      registry = await startRegistry({ address: '127.0.0.1', credentials });
      watch = await transport.machine.watch(deployment);
      image = await pull(download('busybox.tar', readFileSync(busybox.archive)));
    });
    afterAll(async () => {
      watch?.close();
      await registry?.stop();
      await transport?.close();
    });
    let lastKey = 0;
    const request = (source: ImageSource, runtime: ImageRequest['runtime'] = 'singularity'): ImageRequest => ({
      runtime,
      imageKey: `engine${(lastKey += 1)}`,
      source,
    });
    const download = (path: string, content: Buffer): ImageRequest => {
      transport.files.files.set(path, content);
      return request({ kind: 'download', url: transport.files.url(path), archive: true });
    };
    const pull = (wanted: ImageRequest) => transport.machine.pullImage(wanted);
    const launch = (line: string, changes: Partial<TaskLaunch> = {}) => launchOf(image, sh(line), changes);
    const start = (run: RunRef, task: TaskLaunch) => transport.machine.startTask(run, task);
    const processesWith = async (marker: string) =>
      (
        await transport.shell(`grep -l -a -e '${marker.replace(/^./, '[$&]')}' /proc/[0-9]*/cmdline 2>/dev/null`)
      ).trim();
    const withEngine = async (line: string) =>
      (
        await transport.shell(
          `set -- lib/*; for file in processes engine; do . "$1/$file.sh"; done; find_engine ${program}; ${line}`,
        )
      ).trim();
    /** What the program itself says. */
    const ask = (words: string) => withEngine(`engine ${words}`);
    /** Everything but the container and its monitor is killed. */
    const orphan = async (run: RunRef) => {
      await start(run, launch(`(setsid sleep ${nap} &); echo up; sleep ${nap}`));
      await until(async () => (await output(watch, run)) === 'up\n', 'the task runs');
      const task = `runs/${runToken(run)}/tasks/0`;
      await transport.shell(`read -r a _ <${task}/started; read -r b _ <${task}/leader; kill -KILL "$a" "$b"`);
    };
    const expectNothingLeft = async () => {
      await until(async () => (await ask('ps -aq')) === '', 'no container is left');
      await until(async () => (await transport.shell('ls -A containers')) === '', 'no container is written down');
    };

    it('is told by the probe with its version, for both names', async () => {
      const { runtimes, unableToRun } = await transport.machine.probe();
      expect(runtimes.singularity).toMatch(new RegExp(`^${program} \\d+\\.\\d+\\.\\d+`));
      expect(runtimes.udocker).toBe(runtimes.singularity);
      expect(unableToRun).toBeUndefined();
    });

    it('runs a command with its words, environment, scratch, binds and folder, as the account', async () => {
      const run = newRun();
      const env = {
        GREETING: `it's "a"\n$B`,
        USER_TOKEN: 'very-secret-5771',
        PATH: '/bin:/other',
        TMPDIR: '/tmp',
        DOCKER_HOST: 'tcp://elsewhere',
        CONTAINERS_CONF: "it's not for you",
        EMPTY: '',
        BLANK: ' b ',
      };
      const inputs = [{ filename: 'in.txt', content: Buffer.from('input\n'), executable: false }];
      const line =
        'printf "<%s>" "$@" "$GREETING" "$PATH" "$TMPDIR" "$DOCKER_HOST" "$CONTAINERS_CONF" "${EMPTY-unset}" "$BLANK" "$HOME" "$IMAGE_NAME"; echo; pwd; cat /home/user/in.txt; echo t >/tmp/t; echo d >/data/d; touch /written 2>/dev/null || echo readonly; grep CapBnd /proc/self/status; yes | head -c 100000000 >/dev/null; exit 6';
      const argv = ['sh', '-c', line, 'sh', 'a b', '*', '', "'q'"];
      const options = { env, prepare: { inputs }, binds: [{ source: 'some, dir', target: '/data' }] };
      await start(run, { ...launchOf(image, argv, options), workdir: '/home/user/some, dir' });
      await until(async () => (await output(watch, run)).includes('input'), 'it runs');
      expect(await processesWith('very-secret-5771')).toBe('');
      const result = await resultOf(watch, run);
      expect(result).toMatchObject({ exitCode: 6, cause: 'exited' });
      expect(result.cpuSeconds).toBeGreaterThan(0);
      expect(await output(watch, run)).toBe(
        `<a b><*><><'q'><it's "a"\n$B></bin:/other></tmp><tcp://elsewhere><it's not for you><>< b ></home/user><busybox>\n/home/user/some, dir\ninput\nreadonly\nCapBnd:\t0000000000000000\n`,
      );
      expect(await output(watch, run, 'stderr')).toBe('');
      const token = runToken(run);
      expect(await transport.shell(`stat -c %U "runs/${token}/home/some, dir/d"; id -un`)).toMatch(/^(.*)\n\1\n$/);
      // The next task of the run finds what this one left; its own name says that the image is copied for it.
      await start(run, launch('cat /tmp/t some*/d; env', { launchNumber: 1, runtime: 'udocker' }));
      await resultOf(watch, run, 1);
      const second = (await output(watch, run)).split('0000\n')[1]!;
      expect(second).toMatch(/^t\nd\n/);
      expect(second).not.toMatch(/ENGINE|GREETING|elsewhere/);
      await expectNothingLeft();
    });

    it('runs the entry point of the image where there is no command, and no apps', async () => {
      const run = newRun();
      const { argv: _, ...entryPoint } = launch('');
      await start(run, entryPoint);
      expect(await resultOf(watch, run)).toMatchObject({ exitCode: 0 });
      await start(run, launch('true', { launchNumber: 1, app: 'greet' }));
      expect(await resultOf(watch, run, 1)).toMatchObject({ exitCode: 255 });
      expect(await output(watch, run, 'stderr')).toContain(`apps of images are not known to ${program}`);
    });

    it('pulls once per digest for both names, with a password that nobody sees', async () => {
      const reference = await registry.push(busybox, 'private/busybox:latest');
      const credential = { username: credentials.username, token: credentials.password };
      const source = { kind: 'registry', reference, insecure: true, credential } as const;
      const first = await pull(request(source));
      expect(first).toMatchObject({ status: 'completed', digest: expect.stringMatching(/^sha256:/) as string });
      const second = await pull(request(source, 'udocker'));
      expect(second).toMatchObject({ status: 'cached', fileSha256: first.fileSha256, sizeBytes: first.sizeBytes });
      const run = newRun();
      await start(run, launchOf(first, sh('echo $IMAGE_NAME'), { runtime: 'udocker' }));
      await resultOf(watch, run);
      expect(await output(watch, run)).toBe('busybox\n');
      await watch.remove([run]);
      const refused = { kind: 'registry', reference, insecure: true } as const;
      await expect(pull(request(refused))).rejects.toMatchObject({ code: 'unauthorized' });
      await expect(pull(download('page.tar', Buffer.from('<html>')))).rejects.toMatchObject({ code: 'invalid' });
      expect((await transport.shell('ls images/tmp images/locks')).replaceAll(/images\/\w+:|\s/g, '')).toBe('');
      expect(await transport.shell(`grep -r -l -F '${credentials.password.slice(0, 6)}' . 2>/dev/null`)).toBe('');
    });

    it('drops what was used longest ago, but not from under a run, and asks for what is gone', async () => {
      const small = transport.another({ imageCacheBytes: 1 });
      const changed = await withConfig(busybox.archive, { Volumes: { '/made/by/the/image': {} } });
      const kept = newRun();
      await start(kept, launch('echo up; sleep 300'));
      await until(async () => (await output(watch, kept)) === 'up\n', 'the task runs');
      const other = await small.pullImage(download('other.tar', changed));
      expect(other.fileSha256).not.toBe(image.fileSha256);
      const tags = () => ask('images --format \'{{.Tag}}\' "$own_images"');
      expect((await tags()).split('\n').sort()).toEqual([image.fileSha256, other.fileSha256, 'probe'].sort());
      await transport.machine.killRun(kept, 0);
      await watch.remove([kept]);
      // Gone from the cache, so it is pulled again; the other one goes, whose volume went with its container.
      const run = newRun();
      await small.startTask(run, launchOf(other, sh('ls -d /made/by/the/image')));
      expect(await resultOf(watch, run)).toMatchObject({ exitCode: 0 });
      expect(await ask('volume ls -q')).toBe('');
      await watch.remove([run]);
      expect(await start(newRun(), launch('true'))).toEqual({ kind: 'imageMissing' });
      image = await small.pullImage(download('busybox.tar', readFileSync(busybox.archive)));
      expect((await tags()).split('\n').sort()).toEqual([image.fileSha256, 'probe'].sort());
      // Somebody tidies up behind our back.
      await ask(`rmi "$own_images:${image.fileSha256}"`);
      expect(await start(newRun(), launch('true'))).toEqual({ kind: 'imageMissing' });
      image = await pull(download('busybox.tar', readFileSync(busybox.archive)));
      expect(image.status).toBe('completed');
    });

    it('kills what ignores TERM and what became a daemon, and runs commands beside it', async () => {
      const run = newRun();
      const line = `trap "" TERM; (setsid sh -c "trap \\"\\" TERM; sleep ${nap}1; :" &); echo up; while :; do sleep ${nap}2; done`;
      await start(run, launch(line));
      await until(async () => (await output(watch, run)) === 'up\n', 'the task runs');
      const exec = (command: string, limitSeconds: number) =>
        transport.machine.exec(run, {
          launch: () => Promise.resolve(launch(command)),
          limitSeconds,
          memoryBytes: 1e9,
          onOutput: () => Promise.resolve(true),
        });
      expect(await exec('echo beside >beside; exit 7', 60)).toEqual({ kind: 'ended', exitCode: 7, cause: 'exited' });
      expect(await transport.shell(`cat runs/${runToken(run)}/home/beside`)).toBe('beside\n');
      expect(await exec(`sleep ${nap}3`, 1)).toMatchObject({ cause: 'limit' });
      await transport.machine.killRun(run, 1);
      expect(await resultOf(watch, run)).toMatchObject({ exitCode: 137, cause: 'killed' });
      expect(await processesWith(`sleep.${nap}[123]`)).toBe('');
      await until(async () => (await processesWith(runToken(run))) === '', 'no monitor is left');
      await expectNothingLeft();
    });

    it('keeps to walltime and memory, and tells signals', async () => {
      const slow = newRun();
      const large = newRun();
      const broken = newRun();
      const patient = 'trap "exit 3" TERM; while :; do sleep 0.1; done';
      await start(slow, launch(patient, { walltimeSeconds: 10, killGraceSeconds: 60 }));
      const hungry = '(setsid dd if=/dev/zero of=/dev/null bs=300M &); sleep 5791';
      await start(large, launch(hungry, { memoryBytes: 150e6 }));
      await start(broken, launch('kill -SEGV $$'));
      expect(await resultOf(watch, slow)).toMatchObject({ exitCode: 3, cause: 'walltime' });
      const killed = await resultOf(watch, large);
      expect(killed).toMatchObject({ exitCode: 137, cause: 'memory' });
      expect(killed.maxResidentSetSizeKb).toBeGreaterThan(146_000);
      expect(await resultOf(watch, broken)).toMatchObject({ exitCode: 139, cause: 'exited' });
      await expectNothingLeft();
    });

    it('removes containers whose supervisors and waiting processes were killed', async () => {
      const [seen, unseen] = [newRun(), newRun()];
      for (const run of [seen, unseen]) await orphan(run);
      await transport.shell(`rm -rf runs/${runToken(unseen)}`);
      expect(await ended(watch, seen)).toMatchObject({ state: 'lost' });
      // Nobody looks after the other one any more; whoever comes next to the machine does.
      const next = await transport.another().watch(deployment);
      await until(async () => (await processesWith(`sleep.${nap}`)) === '', 'the processes are gone');
      next.close();
      await expectNothingLeft();
      for (const run of [seen, unseen]) {
        await until(async () => (await processesWith(runToken(run))) === '', 'no monitor is left');
      }
    });

    // docker's daemon looks after its own.
    if (program === 'docker') return;
    it('removes what is left of containers when the machine was restarted', async () => {
      const run = newRun();
      await orphan(run);
      // Nothing goes on, and what was kept for the boot is of an earlier one.
      const monitors = [...(await processesWith(`-${runToken(run)}-`)).matchAll(/\d+/g)].join(' ');
      await withEngine(
        `read -r _ _ _ init _ <"$(echo containers/*)"; kill -KILL ${monitors} "$init" $(cat "$XDG_RUNTIME_DIR/libpod/tmp/pause.pid")
         sed -i -E 's/^([^ ]* [^ ]*) [^ ]*/\\1 another-boot/' containers/*; mv "$this_boot" "$this_boot-earlier"`,
      );
      await until(async () => (await processesWith(`sleep.${nap}`)) === '', 'the machine is down');
      expect(await transport.shell('ls containers')).not.toBe('');
      const next = await transport.another().watch(deployment);
      await until(async () => (await transport.shell('ls containers')) === '', 'the record is gone');
      next.close();
      await expectNothingLeft();
    });
  });
}

/** @returns the docker archive with another configuration of its image */
async function withConfig(archive: string, changes: Record<string, unknown>): Promise<Buffer> {
  const result = pack();
  const entries = extract();
  entries.on('entry', (header, stream, next) => {
    void (async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of stream) chunks.push(chunk as Buffer);
      let content = Buffer.concat(chunks);
      if (/^[0-9a-f]{64}\.json$/.test(header.name)) {
        const image = JSON.parse(content.toString()) as { config: Record<string, unknown> };
        content = Buffer.from(JSON.stringify({ ...image, config: { ...image.config, ...changes } }));
      }
      const { size: _, ...kept } = header;
      result.entry({ ...kept, size: content.length }, content, next);
    })();
  });
  entries.on('finish', () => result.finalize());
  Readable.from([readFileSync(archive)]).pipe(entries);
  const chunks: Buffer[] = [];
  for await (const chunk of result) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
