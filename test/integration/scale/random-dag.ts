/** Random workflows of jobs that run nothing, and what must have become of them, told from the definition alone. */
import fc from 'fast-check';
import { expect } from 'vitest';
import type { Sql } from '../../../db/connection.ts';
import { reasons } from '../../../domain/reasons.ts';
import { noopJob } from '../../ground/noop-stack.ts';

/** How the jobs of a step end: all well, all badly, every second one badly, or well at the second attempt. */
export type StepFate = 'well' | 'badly' | 'half' | 'retried';

export interface RandomStep {
  parents: number[];
  count: number;
  fate: StepFate;
}

const fates = fc.oneof(
  { weight: 8, arbitrary: fc.constant<StepFate>('well') },
  { weight: 1, arbitrary: fc.constant<StepFate>('badly') },
  { weight: 1, arbitrary: fc.constant<StepFate>('half') },
  { weight: 2, arbitrary: fc.constant<StepFate>('retried') },
);

/** Parents come earlier. */
export function randomDags(size: { min: number; max: number }, mostInstances: number): fc.Arbitrary<RandomStep[]> {
  const count = fc.oneof(fc.constant(1), fc.integer({ min: 1, max: mostInstances }));
  return fc.integer(size).chain((steps) =>
    fc.tuple(
      ...Array.from({ length: steps }, (_, step) =>
        fc.record({
          parents: step === 0 ? fc.constant<number[]>([]) : fc.uniqueArray(fc.nat({ max: step - 1 }), { maxLength: 3 }),
          count,
          fate: fates,
        }),
      ),
    ),
  );
}

const nameOf = (step: number): string => `n${step}`;
const exitCode = (fate: StepFate, instance: number): number =>
  fate === 'badly' || (fate === 'half' && instance % 2 === 0) ? 3 : 0;

export function documentOf(steps: RandomStep[]): Record<string, unknown> {
  const dependencies: Record<string, string[]> = {};
  for (const [step, { parents }] of steps.entries()) {
    for (const parent of parents) (dependencies[nameOf(parent)] ??= []).push(nameOf(step));
  }
  return {
    name: 'random',
    jobs: steps.map(({ fate }, step) =>
      fate === 'retried'
        ? noopJob(nameOf(step), 'exit 1 before attempt 2', { policies: { maximumRetries: 2 } })
        : noopJob(nameOf(step), 'exit $code'),
    ),
    dependencies,
    factories: steps.map(({ count, fate }, step) => ({
      type: 'zip',
      name: `f${step}`,
      jobs: [nameOf(step)],
      parameters: [{ name: 'code', values: Array.from({ length: count }, (_, i) => exitCode(fate, i)) }],
    })),
  };
}

interface Row {
  id: number;
  step: number;
  instance: number;
  status: string;
  statusReason: string | null;
  succeeded: boolean | null;
  exitCodes: (number | null)[];
  startedAt: number | null;
  endedAt: number | null;
  keptFrom: number | null;
  attempts: number;
  endings: number;
}

const readJobs = async (sql: Sql, workflowId: number): Promise<Row[]> => sql<Row[]>`
  select id, step, instance, status, status_reason as "statusReason", succeeded, kept_from as "keptFrom",
    array(select (task->>'exitCode')::int from jsonb_array_elements(execution->'tasks') task) as "exitCodes",
    extract(epoch from started_at)::float8 as "startedAt", extract(epoch from ended_at)::float8 as "endedAt",
    (select count(*)::int from attempts where job_id = jobs.id) as attempts,
    (select count(*)::int from job_events where job_id = jobs.id and kind in ('completed', 'failed', 'deleted')) as endings
  from jobs where workflow_id = ${workflowId} order by id`;

export interface Counts {
  total: number;
  done: number;
  failed: number;
  waiting: number;
}

/**
 * Holds what became of a workflow that ended against what its graph demands. `deleted`: ids of jobs that were deleted,
 * maybe before their turn, maybe too late; `isDeleted`: the whole workflow was.
 * @returns the counts that its progress must show
 */
export async function expectLikeModel(
  sql: Sql,
  workflowId: number,
  steps: RandomStep[],
  { deleted = new Set<number>(), isDeleted = false } = {},
): Promise<Counts> {
  const jobs = await readJobs(sql, workflowId);
  const total = steps.reduce((sum, { count }) => sum + count, 0);
  expect(jobs.map(({ id }) => id)).toEqual(Array.from({ length: total }, (_, i) => workflowId + 1 + i));
  const byStep = steps.map((_, step) => jobs.filter((job) => job.step === step));
  const isDone = byStep.map((own) => own.every(({ succeeded }) => succeeded));
  const counts: Counts = { total, done: 0, failed: 0, waiting: 0 };

  for (const [step, { parents, fate }] of steps.entries()) {
    const mayRun = parents.every((parent) => isDone[parent]);
    const since = Math.max(0, ...parents.flatMap((parent) => byStep[parent]!.map(({ endedAt }) => endedAt ?? 0)));
    for (const job of byStep[step]!) {
      const what = JSON.stringify(job);
      const isKept = job.keptFrom !== null;
      // One end, and it is told once.
      expect(job.endings, what).toBe(isKept ? 0 : 1);
      if (job.succeeded) {
        expect(mayRun || isKept, what).toBe(true);
        expect(job, what).toMatchObject({ status: 'completed', exitCodes: [0] });
        expect(exitCode(fate, job.instance), what).toBe(0);
        if (!isKept) {
          expect(job.startedAt!, what).toBeGreaterThanOrEqual(since);
          expect(job.attempts, what).toBe(fate === 'retried' ? 2 : 1);
        }
        counts.done += 1;
      } else if (job.status === 'deleted') {
        expect(isDeleted || deleted.has(job.id), what).toBe(true);
        if (mayRun) expect(job.attempts, what).toBeLessThanOrEqual(fate === 'retried' ? 2 : 1);
        else expect(job.attempts, what).toBe(0);
      } else if (mayRun) {
        expect(job, what).toMatchObject({ status: 'completed', exitCodes: [3], attempts: 1 });
        expect(exitCode(fate, job.instance), what).toBe(3);
      } else {
        expect(job, what).toMatchObject({ status: 'failed', statusReason: reasons.dependencyFailed, attempts: 0 });
      }
    }
    const unsuccessful = byStep[step]!.filter(({ succeeded }) => !succeeded).length;
    if (mayRun) counts.failed += unsuccessful;
    else counts.waiting += unsuccessful;
  }
  return counts;
}
