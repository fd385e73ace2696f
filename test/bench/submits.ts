/** POST /jobs per second and how long an answer takes, with 1, 16 and 64 clients; each submit is durable when answered. */
import { benchJob, startBenchStack, warmUp, type BenchStack } from './bench-stack.ts';
import { submitJobs } from './child.ts';
import { cpuPerUnit, readCpu } from './cpu.ts';
import { quantile } from './quantile.ts';
import type { Reaper } from './reaper.ts';

export interface SubmitFigures {
  /** Nothing is running but the API and PostgreSQL: the outbox only grows. Or everything is, and works on the jobs. */
  running: 'API and PostgreSQL' | 'everything';
  clients: number;
  submits: number;
  perSecond: number;
  p50Ms: number;
  p99Ms: number;
  /** CPU per submit, of all the part does in that time, and of the clients themselves. */
  apiCpuMs: number;
  postgresCpuMs: number;
  clientCpuMs: number;
}

const clientCounts = [1, 16, 64];

/** Each with a stack that is thrown away, because a backlog of thousands of jobs is left. */
export async function measureSubmits(reaper: Reaper, scale: number): Promise<SubmitFigures[]> {
  const figures: SubmitFigures[] = [];
  const alone = await startBenchStack(reaper, { children: ['postgres', 'api'] });
  try {
    await submit(alone, 16, 300);
    for (const clients of clientCounts) {
      figures.push(
        await measure(reaper, 'API and PostgreSQL', alone, clients, scaled(clients === 1 ? 1000 : 4000, scale)),
      );
    }
  } finally {
    await alone.stop();
  }
  const whole = await startBenchStack(reaper);
  try {
    await warmUp(whole);
    for (const clients of clientCounts) {
      figures.push(await measure(reaper, 'everything', whole, clients, scaled(clients === 1 ? 200 : 600, scale)));
    }
  } finally {
    await whole.stop();
  }
  return figures;
}

async function measure(
  reaper: Reaper,
  running: SubmitFigures['running'],
  bench: BenchStack,
  clients: number,
  submits: number,
): Promise<SubmitFigures> {
  const before = readCpu(bench.stack, reaper);
  const { seconds, latenciesMs, cpuMs } = await submit(bench, clients, submits);
  const spent = cpuPerUnit(before, readCpu(bench.stack, reaper), submits);
  return {
    running,
    clients,
    submits,
    perSecond: submits / seconds,
    p50Ms: quantile(latenciesMs, 0.5),
    p99Ms: quantile(latenciesMs, 0.99),
    apiCpuMs: spent.api,
    postgresCpuMs: spent.postgres,
    clientCpuMs: cpuMs / submits,
  };
}

export function submit({ rest, token }: BenchStack, clients: number, submits: number) {
  return submitJobs({ url: rest.url, token, body: JSON.stringify(benchJob('true')), clients, submits });
}

export const scaled = (count: number, scale: number): number => Math.max(16, Math.round(count * scale));
