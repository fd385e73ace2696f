/** A machine whose disk a task fills: what is known of the task must not be lost with it. Mounting needs root. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { getuid } from 'node:process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runToken } from '../../../domain/runs.ts';
import type { MachineWatch, PulledImage } from '../../../hosts/machine.ts';
import { deployment, launchOf, newRun, output, pullBusybox, resultOf, sh } from './runs.ts';
import { localTransport, localTransportAt, type Transport } from './transports.ts';

describe.runIf(getuid?.() === 0)('a machine with a small disk', () => {
  const mount = `/var/tmp/prominence-small-${process.pid}`;
  let transport: Transport;
  let image: PulledImage;
  let watch: MachineWatch;
  beforeAll(async () => {
    // It makes the account where that is missing.
    await (await localTransport()).close();
    mkdirSync(mount);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=40m,mode=755', 'tmpfs', mount]);
    transport = await localTransportAt(`${mount}/work`);
    image = await pullBusybox(transport);
    watch = await transport.machine.watch(deployment);
  });
  afterAll(async () => {
    watch?.close();
    await transport?.close();
    execFileSync('umount', ['-l', mount]);
    rmSync(mount, { recursive: true, force: true });
  });
  const fill = 'dd if=/dev/zero of=big bs=1M';

  it('reports how a task ended that filled the disk', async () => {
    const run = newRun();
    await transport.machine.startTask(run, launchOf(image, sh(`${fill}; echo lost; exit 6`)));
    expect(await resultOf(watch, run)).toMatchObject({ exitCode: 6, cause: 'exited' });
    const next = transport.machine.startTask(run, launchOf(image, ['true'], { launchNumber: 1 }));
    await expect(next).rejects.toThrow(/[Nn]o space left/);
    await transport.shell(`rm runs/${runToken(run)}/home/big`);
    await transport.machine.startTask(run, launchOf(image, ['true'], { launchNumber: 1 }));
    expect(await resultOf(watch, run, 1)).toMatchObject({ exitCode: 0 });
    await watch.remove([run]);
  });

  it('says that the walltime ended a task, and kills one, on a full disk', async () => {
    const slow = newRun();
    await transport.machine.startTask(slow, launchOf(image, sh(`${fill}; sleep 4911`), { walltimeSeconds: 2 }));
    expect(await resultOf(watch, slow)).toMatchObject({ cause: 'walltime' });
    await transport.machine.killRun(slow, 0);
    await watch.remove([slow]);
  });

  it('lets a task go on whose output finds no room, and keeps what it writes when there is room again', async () => {
    const flood = newRun();
    const line = `echo before; ${fill} 2>/dev/null; head -c 100000000 /dev/zero; rm big; sleep 2; echo after; exit 7`;
    await transport.machine.startTask(flood, launchOf(image, sh(line)));
    expect(await resultOf(watch, flood)).toMatchObject({ exitCode: 7 });
    const kept = (await output(watch, flood)).replaceAll('\0', '');
    expect(kept).toBe('before\nafter\n');
    await watch.remove([flood]);
  });

  it('fails a pull with that reason, and leaves nothing of it', async () => {
    await transport.shell('head -c 39000000 /dev/zero >ballast 2>/dev/null || :');
    const source = { kind: 'download', url: transport.files.url('busybox.tar'), archive: true } as const;
    const pull = transport.machine.pullImage({ runtime: 'singularity', imageKey: 'other', source });
    await expect(pull).rejects.toMatchObject({ code: 'diskFull' });
    await transport.shell('rm ballast');
    expect((await transport.shell('ls images/tmp images/locks')).replaceAll(/images\/\w+:|\s/g, '')).toBe('');
  });
});
