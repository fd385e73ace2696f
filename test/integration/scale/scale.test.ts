/** Sweeps and graphs of jobs that run nothing: what the engine does with many of them. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect, type Connection } from '../../../db/connection.ts';
import { noopJob, noopStack } from '../../ground/noop-stack.ts';
import type { RunningStack } from '../../ground/running-stack.ts';
import { WorkflowRest } from '../workflows/workflow-rest.ts';
import { documentOf, expectLikeModel, randomDags, type Counts } from './random-dag.ts';
import { patience, sizes } from './sizes.ts';

let running: RunningStack;
let workflows: WorkflowRest;
let connection: Connection;

beforeAll(async () => {
  running = await noopStack();
  workflows = new WorkflowRest(running.rest);
  connection = connect(running.stack.databaseUrl, { poolSize: 2 });
});
afterAll(async () => {
  await connection?.close();
  await running?.stop();
});

const sweep = (number: number, cmd = '') => ({
  name: 'sweep',
  jobs: [noopJob('many', cmd)],
  factories: [{ type: 'repeat', name: 'f', jobs: ['many'], number }],
});

/** The most a process has held so far, MiB. */
function peakMemory(child: 'worker' | 'api'): number {
  const status = readFileSync(`/proc/${running.stack.children[child]!.pid}/status`, 'utf8');
  return Number(/VmHWM:\s+(\d+)/.exec(status)![1]) / 1024;
}

const progressOf = ({ total, done, failed, waiting }: Counts) => ({ total, done, failed, queued: 0, waiting });

describe('a sweep', () => {
  it(
    `of ${sizes.sweep} jobs runs each of them once`,
    async () => {
      const began = Date.now();
      const id = await workflows.submit(sweep(sizes.sweep));
      const ended = await workflows.ended(id, patience(sizes.sweep));
      const seconds = (Date.now() - began) / 1000;
      console.log(
        `${sizes.sweep} jobs: ${seconds.toFixed(1)} s, ${(sizes.sweep / seconds).toFixed(1)} per second; ` +
          `worker ${peakMemory('worker').toFixed(0)} MiB, API ${peakMemory('api').toFixed(0)} MiB at most`,
      );
      const progress = { total: sizes.sweep, done: sizes.sweep, failed: 0, queued: 0, waiting: 0 };
      expect(ended).toMatchObject({ status: 'completed', progress });
      const [found] = await connection.sql`
      select count(*)::int as jobs, min(id) - ${id}::int as first, max(id) - min(id) + 1 as span,
        (select count(*)::int from attempts where job_id between ${id}::int + 1 and ${id}::int + ${sizes.sweep}::int) as attempts
      from jobs where workflow_id = ${id} and succeeded`;
      expect(found).toEqual({ jobs: sizes.sweep, first: 1, span: sizes.sweep, attempts: sizes.sweep });
      expect(peakMemory('worker')).toBeLessThan(1024);
    },
    (patience(sizes.sweep) + 60) * 1000,
  );

  it(
    `of ${sizes.submit} jobs is listed at once, lets others run, and is deleted as a whole`,
    async () => {
      const number = sizes.submit;
      const id = await workflows.submit(sweep(number));
      expect(await workflows.describe(id)).toMatchObject({ progress: { total: number } });
      await workflows.until(id, ({ progress }) => progress.done > 0, patience(0));

      const other = await running.as('bob');
      const single = await other.submit(noopJob('single'));
      expect(await other.ended(single, 60)).toMatchObject({ status: 'completed' });

      const page = await running.rest.request('GET', `/jobs?id=${id}&workflow=true&num=100`);
      const listed = (await page.json()) as { id: number }[];
      expect(listed.length).toBeGreaterThan(0);
      expect(new Set(listed.map((job) => job.id)).size).toBe(listed.length);

      const deleting = Date.now();
      await workflows.delete(id);
      const { status, progress } = await workflows.ended(id, patience(number / 20));
      console.log(`${number} jobs, ${progress.done} of which ran, deleted after ${(Date.now() - deleting) / 1000} s`);
      expect(status).toBe('deleted');
      expect(progress).toEqual({
        total: number,
        done: progress.done,
        failed: 0,
        queued: 0,
        waiting: 0,
        deleted: number - progress.done,
      });
      const rows = await connection.sql<{ status: string; jobs: number }[]>`
      select status, count(*)::int as jobs from jobs where workflow_id = ${id} group by status order by status`;
      expect([...rows]).toEqual([
        { status: 'completed', jobs: progress.done },
        { status: 'deleted', jobs: number - progress.done },
      ]);
      const [left] = await connection.sql`
      select (select count(*)::int from placements) as placements, (select count(*)::int from placement_requests) as requests,
        (select sum(free_cpus - cpus)::int from machines) as taken`;
      expect(left).toEqual({ placements: 0, requests: 0, taken: 0 });
    },
    (patience(sizes.submit / 10) + 120) * 1000,
  );
});

describe('a random graph', () => {
  it(
    `of ${sizes.dagSteps} steps ends as the model says`,
    async () => {
      const [steps] = fc.sample(randomDags({ min: sizes.dagSteps, max: sizes.dagSteps }, 4), { numRuns: 1, seed: 4 });
      const id = await workflows.submit(documentOf(steps!));
      const ended = await workflows.ended(id, patience(sizes.dagSteps * 3));
      const counts = await expectLikeModel(connection.sql, id, steps!);
      expect(ended.progress).toEqual(progressOf(counts));
      expect(ended.status).toBe(counts.done === counts.total ? 'completed' : 'failed');
    },
    (patience(sizes.dagSteps * 3) + 60) * 1000,
  );

  it(
    'of any shape does, with jobs and workflows deleted meanwhile, and when it is run again',
    async () => {
      const cases = fc.record({
        steps: randomDags({ min: 1, max: 9 }, 5),
        deletions: fc.array(fc.nat(), { maxLength: 3 }),
        deletesWorkflow: fc.integer({ min: 0, max: 5 }).map((roll) => roll === 0),
        afterMs: fc.nat({ max: 400 }),
      });
      const run = fc.asyncProperty(cases, async ({ steps, deletions, deletesWorkflow, afterMs }) => {
        const id = await workflows.submit(documentOf(steps));
        const total = steps.reduce((sum, { count }) => sum + count, 0);
        await new Promise((resolve) => setTimeout(resolve, afterMs));
        const deleted = new Set(deletions.map((pick) => id + 1 + (pick % total)));
        for (const job of deleted) await running.rest.request('DELETE', `/jobs/${job}`);
        if (deletesWorkflow) await running.rest.request('DELETE', `/workflows/${id}`);
        const ended = await workflows.ended(id, 120);
        const counts = await expectLikeModel(connection.sql, id, steps, {
          deleted,
          isDeleted: ended.status === 'deleted',
        });
        expect(ended.progress.done).toBe(counts.done);
        if (ended.status === 'deleted') return;
        expect(ended.status).toBe(counts.done === counts.total ? 'completed' : 'failed');
        // A job that was deleted before its turn counts as waiting; which it was is not known here.
        if (deleted.size === 0) expect(ended.progress).toEqual(progressOf(counts));

        const again = await workflows.rerun(id);
        const rerun = await workflows.ended(again, 120);
        expect(rerun.progress).toEqual(progressOf(await expectLikeModel(connection.sql, again, steps)));
        expect(rerun.progress.done).toBeGreaterThanOrEqual(counts.done);
      });
      await fc.assert(run, { numRuns: sizes.randomDags, seed: 2, endOnFailure: true });
    },
    (60 + sizes.randomDags * 30) * 1000,
  );
});
