/**
 * Sweeps of jobs that run nothing: how long until a submit is durable, how many jobs end per second and what each part
 * spends on one, what processes and histories grow to, and how long a deletion takes.
 */
import { readFileSync } from 'node:fs';
import { Client, Connection } from '@temporalio/client';
import { noopJob } from '../ground/noop-stack.ts';
import { WorkflowRest } from '../integration/workflows/workflow-rest.ts';
import type { Stack } from '../../scripts/stack/stack.ts';
import { startBenchStack, type BenchStack } from './bench-stack.ts';
import { measureChildFloor, type ChildFloor } from './child-floor.ts';
import { childrenOf, cpuPerUnit, readCpu, type CpuReading } from './cpu.ts';
import { quantile } from './quantile.ts';
import type { Reaper } from './reaper.ts';
import { scaled } from './submits.ts';

export interface SweepFigures {
  submits: { jobs: number; medianMs: number }[];
  runs: SweepRun[];
  floor: ChildFloor;
  deletion: { jobs: number; ran: number; seconds: number };
}

export interface SweepRun {
  jobs: number;
  atOnce: number;
  seconds: number;
  perSecond: number;
  /** Per job. */
  cpuMs: CpuReading;
  /** Most that each process held at any time, MiB; of PostgreSQL its largest. */
  peakMiB: Record<'api' | 'worker' | 'postgres' | 'temporal', number>;
  /** Events of the longest history of each kind. */
  longestHistory: { dag: number; group: number; shard: number; job: number };
}

/** More than the cores, so that what is measured is work and not waiting. */
const atOnce = 64;

export async function measureSweeps(reaper: Reaper, scale: number): Promise<SweepFigures> {
  const bench = await startBenchStack(reaper, { cpus: atOnce });
  try {
    const workflows = new WorkflowRest(bench.rest);
    await workflows.ended(await workflows.submit(sweep(100)), 300);
    const runs: SweepRun[] = [];
    for (const jobs of [1000, 10_000]) runs.push(await measureRun(bench, workflows, reaper, scaled(jobs, scale)));
    const floor = await measureChildFloor(bench.stack, scaled(2000, scale), atOnce);
    const deletion = await measureDeletion(workflows, scaled(10_000, scale));
    return { submits: await measureSweepSubmits(reaper), runs, floor, deletion };
  } finally {
    await bench.stop();
  }
}

const sweep = (number: number): Record<string, unknown> => ({
  name: 'sweep',
  jobs: [noopJob('many')],
  factories: [{ type: 'repeat', name: 'f', jobs: ['many'], number }],
});

async function measureSweepSubmits(reaper: Reaper): Promise<SweepFigures['submits']> {
  const bench = await startBenchStack(reaper, { children: ['postgres', 'api'] });
  try {
    const workflows = new WorkflowRest(bench.rest);
    const figures: SweepFigures['submits'] = [];
    for (const jobs of [10, 1000, 100_000]) {
      const times: number[] = [];
      for (let round = 0; round < 10; round += 1) {
        const began = performance.now();
        await workflows.submit(sweep(jobs));
        times.push(performance.now() - began);
      }
      figures.push({ jobs, medianMs: quantile(times, 0.5) });
    }
    return figures;
  } finally {
    await bench.stop();
  }
}

async function measureRun(
  { stack }: BenchStack,
  workflows: WorkflowRest,
  reaper: Reaper,
  jobs: number,
): Promise<SweepRun> {
  const before = readCpu(stack, reaper);
  const began = performance.now();
  const id = await workflows.submit(sweep(jobs));
  // Seldom: looking costs the API, too.
  const { status, progress } = await workflows.until(id, ({ events }) => events.endTime !== undefined, 3600, 500);
  const seconds = (performance.now() - began) / 1000;
  const cpuMs = cpuPerUnit(before, readCpu(stack, reaper), jobs);
  if (status !== 'completed') throw new Error(`the sweep ended ${status}: ${JSON.stringify(progress)}`);
  const longestHistory = await longestHistories(stack.temporalAddress, id);
  return { jobs, atOnce, seconds, perSecond: jobs / seconds, cpuMs, peakMiB: peaks(stack), longestHistory };
}

function peaks({ children }: Stack): SweepRun['peakMiB'] {
  const peak = (pid: number) => Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
  const own = (child: 'api' | 'worker' | 'temporal') => peak(children[child]!.pid!);
  const postgres = children.postgres!.pid!;
  return {
    api: own('api'),
    worker: own('worker'),
    temporal: own('temporal'),
    postgres: Math.max(...[postgres, ...childrenOf(postgres)].map(peak)),
  };
}

async function longestHistories(address: string, workflowId: number): Promise<SweepRun['longestHistory']> {
  const connection = await Connection.connect({ address });
  try {
    const { workflow } = new Client({ connection });
    const longest = async (query: string) => {
      let most = 0;
      for await (const { historyLength } of workflow.list({ query })) most = Math.max(most, historyLength);
      return most;
    };
    const below = `WorkflowId STARTS_WITH "workflow-${workflowId}-"`;
    return {
      dag: (await workflow.getHandle(`workflow-${workflowId}`).describe()).historyLength,
      group: await longest(`${below} AND WorkflowType = "groupWorkflow"`),
      shard: await longest(`${below} AND WorkflowType = "shardWorkflow"`),
      job: (await workflow.getHandle(`job-${workflowId + 1}`).describe()).historyLength,
    };
  } finally {
    await connection.close();
  }
}

async function measureDeletion(workflows: WorkflowRest, jobs: number): Promise<SweepFigures['deletion']> {
  const id = await workflows.submit(sweep(jobs));
  await workflows.until(id, ({ progress }) => progress.done >= jobs / 100, 600);
  const began = performance.now();
  await workflows.delete(id);
  const { progress } = await workflows.until(id, ({ events }) => events.endTime !== undefined, 600);
  return { jobs, ran: progress.done, seconds: (performance.now() - began) / 1000 };
}
