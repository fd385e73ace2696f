/** From the submit of a job to the first moment inside its container, on a stack that does nothing else. */
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { benchJob, type BenchStack } from './bench-stack.ts';
import { plainContainer } from './container-floor.ts';
import { quantile } from './quantile.ts';

export interface StartFigures {
  jobs: number;
  p50Ms: number;
  p95Ms: number;
  /** The same for the plain container command, taken in turn with the jobs. */
  plain: { p50Ms: number; p95Ms: number };
}

export async function measureStarts(bench: BenchStack, jobs: number): Promise<StartFigures> {
  const ours: number[] = [];
  const plain: number[] = [];
  for (let turn = 0; turn < jobs; turn += 1) {
    await pause(250);
    ours.push(await startOfJob(bench));
    await pause(250);
    const asked = uptimeMs();
    plain.push(firstUptimeMs(await plainContainer(bench.workDirectory, tellUptime)) - asked);
  }
  return {
    jobs,
    p50Ms: quantile(ours, 0.5),
    p95Ms: quantile(ours, 0.95),
    plain: { p50Ms: quantile(plain, 0.5), p95Ms: quantile(plain, 0.95) },
  };
}

async function startOfJob({ rest }: BenchStack): Promise<number> {
  const asked = uptimeMs();
  const id = await rest.submit(benchJob(tellUptime.join(' ')));
  // Not asked while the container starts: the measurement must not be the load.
  await pause(1000);
  await rest.ended(id);
  return firstUptimeMs(await rest.output(id)) - asked;
}

/** The machine's uptime is the one clock that a shell in a container can read finely enough: 10 ms. */
const tellUptime = ['cat', '/proc/uptime'];
const uptimeMs = (): number => firstUptimeMs(readFileSync('/proc/uptime', 'utf8'));

function firstUptimeMs(text: string): number {
  const seconds = Number(text.split(' ')[0]);
  if (!Number.isFinite(seconds) || text === '') throw new Error(`not an uptime: ${text}`);
  return seconds * 1000;
}
