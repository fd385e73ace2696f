/** What outlives us: tasks go on when our process is killed, and are read again by the next one. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runToken } from '../../../domain/runs.ts';
import type { PulledImage } from '../../../hosts/machine.ts';
import { deployment, launchOf, newRun, output, pullBusybox, resultOf, sh } from './runs.ts';
import { account, apptainerDirectory, localTransport, type Transport } from './transports.ts';

let transport: Transport;
let image: PulledImage;
beforeAll(async () => {
  transport = await localTransport();
  image = await pullBusybox(transport);
});
afterAll(() => transport?.close());

it('lets a task go on and be found when the process that started it is killed', async () => {
  const run = newRun();
  const launch = launchOf(image, sh('echo before; while [ ! -e go ]; do sleep 0.1; done; echo after'));
  const tree = (path: string) => fileURLToPath(new URL(`../../../${path}`, import.meta.url));
  const program = `${transport.workDirectory}-starter.mts`;
  writeFileSync(
    program,
    `import { createLocalHost } from ${JSON.stringify(tree('hosts/local.ts'))};
     import { createMachine } from ${JSON.stringify(tree('hosts/create-machine.ts'))};
     const workDirectory = ${JSON.stringify(transport.workDirectory)};
     const host = createLocalHost({ account: '${account}', binDirectories: ['${apptainerDirectory}'], workDirectory });
     const machine = createMachine({ host, workDirectory, imageCacheBytes: 1e10 });
     await machine.watch('${deployment}');
     console.log(JSON.stringify(await machine.startTask(${JSON.stringify(run)}, ${JSON.stringify(launch)})));`,
  );
  try {
    const starter = spawn('node', ['--import', 'tsx', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
      cwd: tree('.'),
      detached: true,
    });
    const [started] = (await once(starter.stdout, 'data')) as [Buffer];
    starter.kill('SIGKILL');
    await once(starter, 'exit');

    const watch = await transport.machine.watch(deployment);
    expect(await transport.machine.startTask(run, launch)).toEqual(JSON.parse(started.toString()));
    await transport.shell(`touch runs/${deployment}-${run.jobId}.1.0/home/go`);
    expect(await resultOf(watch, run)).toMatchObject({ exitCode: 0, cause: 'exited' });
    expect(await output(watch, run)).toBe('before\nafter\n');
    watch.close();
  } finally {
    rmSync(program, { force: true });
  }
});

it('runs a task that it claimed though nobody reads its answer any more', async () => {
  const run = newRun();
  const arguments_ = `${runToken(run)} 0 ${image.fileSha256}.sif 60 1000000 1 0 '#end' 1000000 - 0`;
  const text = `printf 'contained exec "$PWD/$run/$image" sh -c "echo ran; yes | head -n 1"\n#end\n'`;
  await transport.shell(`{ sleep 0.5; ${text}; } | setsid sh lib/*/supervise.sh ${arguments_} | :`);
  const watch = await transport.machine.watch(deployment);
  expect(await resultOf(watch, run)).toMatchObject({ exitCode: 0 });
  // What the task has of it is as ever: a signal that is ignored would be so in the task too.
  expect(await output(watch, run)).toBe('ran\ny\n');
  expect(await output(watch, run, 'stderr')).toBe('');
  watch.close();
});

it('lets a task go on when the host is closed', async () => {
  const run = newRun();
  const other = transport.another();
  await other.startTask(run, launchOf(image, sh('sleep 1; echo done')));
  await other.close();
  const watch = await transport.machine.watch(deployment);
  expect(await resultOf(watch, run)).toMatchObject({ exitCode: 0 });
  watch.close();
});

it('ends a watch with HostError when its far end dies, and another takes its place', async () => {
  const watch = await transport.machine.watch(deployment);
  const waiting = watch.waitForChange(60_000);
  await transport.shell(
    'for mark in watches/*; do ear=${mark#*/}; read -r _ _ _ pid _ </proc/${ear%.*}/stat; kill -KILL $pid; done',
  );
  await watch.ended;
  await waiting;
  await expect(watch.list()).rejects.toMatchObject({ name: 'HostError', code: 'unreachable' });
  const next = await transport.machine.watch(deployment);
  expect(await next.list()).toEqual(expect.any(Array));
  next.close();
});
