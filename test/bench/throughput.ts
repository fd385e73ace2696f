/** Many jobs of an empty container: how many end per second, and what each part of the stack spends on one. */
import { setTimeout as pause } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import postgres from 'postgres';
import { jobsAtOnce, type BenchStack } from './bench-stack.ts';
import { busySince, cpuPerUnit, readBusy, readCpu, type CpuReading } from './cpu.ts';
import type { Stack } from '../../scripts/stack/stack.ts';
import { quantile } from './quantile.ts';
import type { Reaper } from './reaper.ts';
import { submit } from './submits.ts';

export interface ThroughputFigures {
  jobs: number;
  atOnce: number;
  /** From the first submit to the last end. */
  perSecond: number;
  /** Per job; `machine` holds the containers too. */
  cpuMs: CpuReading;
  seconds: number;
  /** What each part uses in a second without any work. */
  idleMsPerSecond: CpuReading;
  /** Median seconds of a job's time on the machine: until its task starts, in the task, and until it has ended. */
  slot: { untilStart: number; task: number; untilEnd: number };
  /** The part of the cores that was busy meanwhile, with whatever. */
  busy: number;
  /** Median of some jobs' histories in Temporal. */
  historyEvents: number;
}

export async function measureThroughput(bench: BenchStack, reaper: Reaper, jobs: number): Promise<ThroughputFigures> {
  const { stack } = bench;
  const sql = postgres(stack.databaseUrl, { max: 1 });
  try {
    await reaper.isEmpty(60);
    const idleMsPerSecond = await measureIdle(stack, reaper);
    const before = readCpu(stack, reaper);
    const busyBefore = readBusy();
    const began = performance.now();
    await submit(bench, 16, jobs);
    await allEnded(sql);
    const seconds = (performance.now() - began) / 1000;
    const busy = busySince(busyBefore, readBusy());
    await reaper.isEmpty(60);
    const cpuMs = cpuPerUnit(before, readCpu(stack, reaper), jobs);
    const [failed] = await sql<{ count: number }[]>`
      select count(*)::int as count from jobs where status <> 'completed'`;
    if (failed!.count > 0) throw new Error(`${failed!.count} jobs did not complete`);
    const sample = await sql<{ temporalId: string }[]>`
      select temporal_id as "temporalId" from jobs order by random() limit ${sampledHistories}`;
    const ids = sample.map(({ temporalId }) => temporalId);
    const historyEvents = quantile(await historyLengths(stack.temporalAddress, ids), 0.5);
    const slot = await slotTimes(sql, jobs);
    const perSecond = jobs / seconds;
    return { jobs, atOnce: jobsAtOnce, perSecond, cpuMs, seconds, idleMsPerSecond, slot, busy, historyEvents };
  } finally {
    await sql.end();
  }
}

async function slotTimes(sql: postgres.Sql, jobs: number): Promise<ThroughputFigures['slot']> {
  const [median] = await sql<ThroughputFigures['slot'][]>`
    with times as (
      select extract(epoch from j.started_at - a.started_at)::float as before,
        (execution->'tasks'->0->>'wallTimeUsage')::float as task,
        extract(epoch from j.ended_at - j.started_at)::float as after
      from jobs j join attempts a on a.job_id = j.id order by j.id desc limit ${jobs}
    )
    select percentile_cont(0.5) within group (order by before) as "untilStart",
      percentile_cont(0.5) within group (order by task) as task,
      percentile_cont(0.5) within group (order by after - task) as "untilEnd"
    from times`;
  return median!;
}

const idleSeconds = 10;

async function measureIdle(stack: Stack, reaper: Reaper): Promise<CpuReading> {
  const before = readCpu(stack, reaper);
  await pause(idleSeconds * 1000);
  return cpuPerUnit(before, readCpu(stack, reaper), idleSeconds);
}

async function allEnded(sql: postgres.Sql): Promise<void> {
  for (;;) {
    const [left] = await sql<{ any: boolean }[]>`
      select exists (select from jobs where status in ('pending', 'running')) as any`;
    if (!left!.any) return;
    await pause(200);
  }
}

const sampledHistories = 25;

async function historyLengths(address: string, workflowIds: string[]): Promise<number[]> {
  const connection = await Connection.connect({ address });
  try {
    const { workflow } = new Client({ connection });
    const lengths: number[] = [];
    for (const id of workflowIds) lengths.push((await workflow.getHandle(id).describe()).historyLength);
    return lengths;
  } finally {
    await connection.close();
  }
}
