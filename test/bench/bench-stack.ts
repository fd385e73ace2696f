/** A fresh embedded stack for a part of the bench, with one local site that takes as many jobs at once as it is told. */
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startStack, type ChildName, type Stack } from '../../scripts/stack/stack.ts';
import { buildBusybox } from '../ground/images.ts';
import { Rest } from '../ground/rest.ts';
import type { Reaper } from './reaper.ts';

export interface BenchStack {
  stack: Stack;
  rest: Rest;
  token: string;
  /** Of the one site. */
  workDirectory: string;
  stop(): Promise<void>;
}

/** Jobs that run at once. More than the cores, so that what is measured is work and not waiting. */
export const jobsAtOnce = 16;

export interface BenchOptions {
  /** Only these; default all. */
  children?: ChildName[];
  /** Default `jobsAtOnce`. */
  cpus?: number;
}

export async function startBenchStack(reaper: Reaper, options: BenchOptions = {}): Promise<BenchStack> {
  const { children, cpus = jobsAtOnce } = options;
  const home = mkdtempSync(join(tmpdir(), 'prominence-bench-'));
  chmodSync(home, 0o755);
  const workDirectory = join(home, 'work');
  const site = { type: 'local' as const, name: 'local', cpus, memoryGb: 1000, diskGb: 1000, workDirectory };
  const stack = await startStack({
    home,
    settings: { sites: [site], execution: { benchmarkRuntime: true }, quotas: { submitsPerMinute: 10_000_000 } },
    ...(children ? { children } : {}),
  });
  const token = await stack.token('bench');
  const rest = new Rest(stack.apiUrl, token);
  await rest.upload('busybox.tar', readFileSync((await buildBusybox()).archive));
  return {
    stack,
    rest,
    token,
    workDirectory,
    async stop() {
      await stack.stop();
      await reaper.isEmpty(60);
      rmSync(home, { recursive: true, force: true });
    },
  };
}

/** A job of one command in a container; its image is the uploaded busybox. */
export function benchJob(command: string): Record<string, unknown> {
  return {
    name: 'bench',
    labels: { from: 'bench' },
    resources: { nodes: 1, cpus: 1, memory: 1, disk: 1 },
    tasks: [{ image: 'busybox.tar', runtime: 'singularity', cmd: command }],
  };
}

/** Has the image brought to the machine, so that it is cached for the jobs that are measured. */
export async function warmUp({ rest }: BenchStack): Promise<void> {
  for (let round = 0; round < 3; round += 1) await rest.ended(await rest.submit(benchJob('true')), 120);
}
