/**
 * `npm run bench [-- PART...] [--json] [--scale=0.1]`: measures this machine with real components, prints a table in
 * Markdown. Parts: submits, starts, jobs (with both floors), sweeps (with its
 * floor), lists. Default: all.
 */
import { cpus, loadavg, release } from 'node:os';
import { jobsAtOnce, startBenchStack, warmUp } from './bench-stack.ts';
import { measureContainerFloor } from './container-floor.ts';
import { measureLists } from './lists.ts';
import { againUnderReaper, ownReaper, type Reaper } from './reaper.ts';
import { markdown, type Figures } from './report.ts';
import { measureStarts } from './start-latency.ts';
import { measureSubmits, scaled } from './submits.ts';
import { measureSweeps } from './sweeps.ts';
import { measureThroughput } from './throughput.ts';
import { measureWorkflowFloor } from './workflow-floor.ts';

const parts = ['submits', 'starts', 'jobs', 'sweeps', 'lists'] as const;
type Part = (typeof parts)[number];

async function main(args: string[], reaper: Reaper): Promise<void> {
  const named = args.filter((arg) => !arg.startsWith('--'));
  const unknown = named.find((name) => !parts.some((part) => part === name));
  if (unknown !== undefined) throw new Error(`there is no part ${unknown}: the parts are ${parts.join(', ')}`);
  const wants = (part: Part) => named.length === 0 || named.includes(part);
  const scale = Number(args.find((arg) => arg.startsWith('--scale='))?.slice('--scale='.length) ?? 1);

  const figures: Figures = {
    date: new Date().toISOString(),
    conditions: conditions(),
  };
  if (wants('submits')) figures.submits = await measureSubmits(reaper, scale);
  if (wants('starts') || wants('jobs')) {
    const bench = await startBenchStack(reaper);
    try {
      await warmUp(bench);
      if (wants('starts')) figures.starts = await measureStarts(bench, scaled(40, scale));
      if (wants('jobs')) {
        figures.containers = await measureContainerFloor(
          bench.workDirectory,
          reaper,
          cpus().length,
          scaled(200, scale),
        );
        figures.jobs = await measureThroughput(bench, reaper, scaled(500, scale));
        figures.workflows = await measureWorkflowFloor(bench.stack, scaled(500, scale), jobsAtOnce);
        // Again at the end, so that a machine that grew busier in between shows.
        figures.containersAgain = await measureContainerFloor(
          bench.workDirectory,
          reaper,
          cpus().length,
          scaled(200, scale),
        );
      }
    } finally {
      await bench.stop();
    }
  }
  if (wants('sweeps')) figures.sweeps = await measureSweeps(reaper, scale);
  if (wants('lists')) figures.lists = await measureLists(reaper, scale);
  console.log(args.includes('--json') ? JSON.stringify(figures, null, 2) : markdown(figures));
}

function conditions(): Figures['conditions'] {
  const [first] = cpus();
  const [loadAverage = 0] = loadavg();
  return { cores: cpus().length, cpu: first?.model ?? '', kernel: release(), node: process.version, loadAverage };
}

async function run(args: string[]): Promise<number> {
  const reaper = ownReaper(args);
  if (!reaper) return againUnderReaper(args);
  await main(
    args.filter((arg) => arg !== '--under-reaper'),
    reaper,
  );
  return 0;
}

run(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
