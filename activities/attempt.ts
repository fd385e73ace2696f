/** What the activities of an attempt share: what they are given, whose attempt it is, and whether it still counts. */
import { ApplicationFailure } from '@temporalio/common';
import type { Database } from '../db/connection.ts';
import { currentRun, markRunning, recordWait, type RunFacts } from '../db/execution.ts';
import type { JobExecution } from '../domain/execution.ts';
import type { AttemptRef } from '../domain/job-messages.ts';
import type { JobTokenSubject } from '../domain/job-token.ts';
import type { RunRef } from '../domain/runs.ts';
import type { ImageRequest, Machine } from '../hosts/machine.ts';
import type { Sealing } from '../secrets/sealing.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { guarded } from './guarded.ts';
import { imageRequest } from './images.ts';
import type { RetryBudget } from './retry-budget.ts';

export interface AttemptDependencies {
  db: Database;
  store: ObjectStore;
  sealing: Sealing;
  deployment: string;
  /** What jobs are told as PROMINENCE_URL. */
  apiUrl: string;
  /** Makes what they are told as PROMINENCE_TOKEN. */
  jobToken(subject: JobTokenSubject, walltimeSeconds: number): Promise<string>;
  insecureRegistries: string[];
  imageDirectories: string[];
  imageRefreshMinutes: number;
  /** Where storage of the type b2drop is. */
  b2dropUrl: string;
  /** How long a storage may take nothing of what a job wrote. */
  storagePatienceSeconds: number;
  killGraceSeconds: number;
  logBytesPerStream: number;
  /** Of all outputs of a job, and of a snapshot. */
  mostBytes: number;
  machine(id: number): Promise<Machine>;
}

/** An activity of an attempt: guarded, and what it waits for is told of its job. */
export const ofAttempt =
  <Ref extends AttemptRef, T>(
    { db }: Pick<AttemptDependencies, 'db'>,
    work: (ref: Ref, budget: RetryBudget) => Promise<T>,
  ): ((ref: Ref) => Promise<T>) =>
  (ref) =>
    guarded(
      (budget) => work(ref, budget),
      (words) => recordWait(db, ref, words),
    );

/** The same, for an attempt that counts: else the activity fails with `StaleAttempt`. */
export const ofCurrentAttempt = <Ref extends AttemptRef, T>(
  deps: Pick<AttemptDependencies, 'db'>,
  work: (run: RunFacts, ref: Ref, budget: RetryBudget) => Promise<T>,
): ((ref: Ref) => Promise<T>) =>
  ofAttempt(deps, async (ref, budget) => work(await requireCurrent(deps.db, ref), ref, budget));

export const runRef = ({ deployment }: AttemptDependencies, { jobId, attempt }: AttemptRef): RunRef => ({
  deployment,
  jobId,
  attempt,
  node: 0,
});

/** @throws ImageMissing */
export function imageOfTask(
  deps: AttemptDependencies,
  { job }: RunFacts,
  run: RunRef,
  taskIndex: number,
): Promise<ImageRequest> {
  const { owner, groups } = job;
  const { store, insecureRegistries, imageDirectories } = deps;
  const { tasks, storage } = deps.sealing.open(job.description);
  const context = { owner, groups, store, insecureRegistries, imageDirectories };
  return imageRequest(tasks[taskIndex]!, { ...context, ...(storage ? { mounted: { storage, run } } : {}) });
}

/** The first sign of an attempt's life: its job runs, there and with so much. */
export async function recordRunning(db: Database, run: RunFacts, ref: AttemptRef, startedAt: Date): Promise<void> {
  if (run.job.status !== 'pending') return;
  const { cpus, memory, disk } = run.size;
  await markRunning(
    db,
    ref,
    {
      site: run.site,
      provisionedResources: { cpus, memory: Math.ceil(memory / 1e9), disk: Math.ceil(disk / 1e9), nodes: 1 },
      ...(run.machineFacts ? { cpu: run.machineFacts.cpu, runtimeVersion: runtimesOf(run) } : {}),
    },
    startedAt,
  );
}

/** The versions of what the job's tasks ask for. */
function runtimesOf({ machineFacts, job }: RunFacts): NonNullable<JobExecution['runtimeVersion']> {
  const isUsed = ([name]: [string, string]) => job.description.tasks.some(({ runtime }) => runtime === name);
  return Object.fromEntries(Object.entries(machineFacts?.runtimes ?? {}).filter(isUsed));
}

export function tokenSubject({ id, owner, groups, email }: RunFacts['job'], attempt: number): JobTokenSubject {
  return { username: owner, groups, ...(email === null ? {} : { email }), job: id, attempt };
}

async function requireCurrent(db: Database, ref: AttemptRef): Promise<RunFacts> {
  const run = await currentRun(db, ref);
  if (!run)
    throw ApplicationFailure.nonRetryable(
      `attempt ${ref.attempt} of job ${ref.jobId} no longer counts`,
      'StaleAttempt',
    );
  return run;
}
