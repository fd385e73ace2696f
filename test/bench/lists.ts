/** How long pages of lists take where more and more jobs are stored. */
import type postgres from 'postgres';
import { connect } from '../../db/connection.ts';
import { expandNext } from '../../db/workflow-expansion.ts';
import { noopJob } from '../ground/noop-stack.ts';
import { WorkflowRest } from '../integration/workflows/workflow-rest.ts';
import { startBenchStack, type BenchStack } from './bench-stack.ts';
import { quantile } from './quantile.ts';
import type { Reaper } from './reaper.ts';

export interface ListFigures {
  stored: number;
  /** Medians, ms. */
  newestJobs: number;
  describeJob: number;
  newestWorkflows: number;
  describeWorkflow: number;
}

const sizes = [100, 10_000, 1_000_000];
const largestWorkflow = 100_000;

export async function measureLists(reaper: Reaper, scale: number): Promise<ListFigures[]> {
  const bench = await startBenchStack(reaper, { children: ['postgres', 'api'] });
  const connection = connect(bench.stack.databaseUrl, { poolSize: 2 });
  try {
    const figures: ListFigures[] = [];
    let stored = 0;
    for (const size of sizes.map((all) => Math.max(100, Math.round(all * scale)))) {
      while (stored < size) {
        const jobs = Math.min(largestWorkflow, size - stored);
        await storeFinished(bench, connection.sql, jobs);
        stored += jobs;
      }
      // As the server does after large expansions.
      await connection.sql`analyze jobs`;
      figures.push(await measurePages(bench, stored));
    }
    return figures;
  } finally {
    await connection.close();
    await bench.stop();
  }
}

/** A workflow with all its rows, as if it had run. */
async function storeFinished({ rest }: BenchStack, sql: postgres.Sql, jobs: number): Promise<void> {
  const id = await new WorkflowRest(rest).submit({
    name: 'stored',
    jobs: [noopJob('many')],
    factories: [{ type: 'repeat', name: 'f', jobs: ['many'], number: jobs }],
  });
  while (!(await sql.begin((tx) => expandNext(tx, id, 5000))));
  const ended = sql`status = 'completed', in_queue = false, started_at = now(), ended_at = now()`;
  await sql`update jobs set ${ended}, succeeded = true where workflow_id = ${id}`;
  await sql`update workflows set ${ended}, done = total where id = ${id}`;
}

const rounds = 30;

async function measurePages({ rest }: BenchStack, stored: number): Promise<ListFigures> {
  const workflow = (
    (await (await rest.request('GET', '/workflows?completed=true&num=1')).json()) as { id: number }[]
  )[0]!;
  const median = async (path: string) => {
    const times: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const began = performance.now();
      const response = await rest.request('GET', path);
      await response.text();
      if (response.status !== 200) throw new Error(`${path}: ${response.status}`);
      times.push(performance.now() - began);
    }
    return quantile(times, 0.5);
  };
  return {
    stored,
    newestJobs: await median('/jobs?completed=true&num=100'),
    describeJob: await median(`/jobs/${workflow.id + 50}`),
    newestWorkflows: await median('/workflows?completed=true&num=100'),
    describeWorkflow: await median(`/workflows/${workflow.id}`),
  };
}
