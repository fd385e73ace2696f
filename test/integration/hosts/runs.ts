/** Short words for what the suites do over and over with runs. */
import { readFileSync } from 'node:fs';
import type { ContainerRuntime } from '../../../domain/description.ts';
import type { RunRef } from '../../../domain/runs.ts';
import type { MachineWatch, ObservedTask, PulledImage, TaskLaunch } from '../../../hosts/machine.ts';
import { buildBusybox } from '../../ground/images.ts';
import type { Transport } from './transports.ts';

export const deployment = 'test';
/** Files of tests run beside each other, and look for what belongs to their runs. */
let lastJob = process.pid * 1000;

/** How long tests sleep that look for it: a number that no other test has, not even one of a run before that was cut short. */
export const nap = 5_000_000 + process.pid;

/** A run that no other test uses. */
export function newRun(): RunRef {
  lastJob += 1;
  return { deployment, jobId: lastJob, attempt: 1, node: 0 };
}

export async function pullBusybox(
  transport: Transport,
  runtime: ContainerRuntime = 'singularity',
): Promise<PulledImage> {
  transport.files.files.set('busybox.tar', readFileSync((await buildBusybox()).archive));
  const source = { kind: 'download', archive: true, url: transport.files.url('busybox.tar') } as const;
  return transport.machine.pullImage({ runtime, imageKey: `busybox-${runtime}`, source });
}

export function launchOf(
  image: PulledImage,
  argv: string[] | undefined,
  changes: Partial<TaskLaunch> = {},
): TaskLaunch {
  return {
    launchNumber: 0,
    prepare: { inputs: [] },
    imageKey: 'busybox',
    fileSha256: image.fileSha256,
    runtime: 'singularity',
    env: {},
    binds: [],
    walltimeSeconds: 100,
    memoryBytes: 1e9,
    killGraceSeconds: 1,
    outputBytes: 1e9,
    ...(argv ? { argv } : {}),
    ...changes,
  };
}

export const sh = (line: string) => ['sh', '-c', line];

export async function observe(watch: MachineWatch, run: RunRef, launchNumber = 0): Promise<ObservedTask | undefined> {
  const found = (await watch.list()).find(
    ({ run: other }) => other.jobId === run.jobId && other.attempt === run.attempt && other.node === run.node,
  );
  return found?.tasks.find((task) => task.launchNumber === launchNumber);
}

/** Waits, woken by the watch, until a task is no longer running. */
export async function ended(watch: MachineWatch, run: RunRef, launchNumber = 0): Promise<ObservedTask> {
  for (;;) {
    const task = await observe(watch, run, launchNumber);
    if (task && task.state !== 'running') return task;
    await watch.waitForChange(2000);
  }
}

export async function resultOf(watch: MachineWatch, run: RunRef, launchNumber = 0) {
  const task = await ended(watch, run, launchNumber);
  if (task.state !== 'finished') throw new Error(`the task is ${JSON.stringify(task)}`);
  return task.result;
}

export async function output(
  watch: MachineWatch,
  run: RunRef,
  stream: 'stdout' | 'stderr' = 'stdout',
): Promise<string> {
  return (await watch.read(run, stream, 0, 1_000_000)).toString();
}

/** Waits for a condition on the machine, asked every now and then. */
export async function until(condition: () => Promise<boolean>, what: string): Promise<void> {
  const deadline = Date.now() + 90_000;
  while (Date.now() < deadline) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`never came true: ${what}`);
}
