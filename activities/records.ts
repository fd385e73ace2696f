/**
 * Short database work of the job workflow. Each may be repeated after any crash: what was done is found, not done
 * again.
 */
import { ApplicationFailure } from '@temporalio/common';
import { Context } from '@temporalio/activity';
import type { Database, Transaction } from '../db/connection.ts';
import {
  beginFirstAttempt,
  endAttempt,
  endJob,
  findJob,
  lockJob,
  recordWaiting,
  type JobRow,
} from '../db/execution.ts';
import { findPlacement, lockPlacements, release } from '../db/placements.ts';
import type { Identity } from '../db/submissions.ts';
import { exitCodes } from '../domain/job-outcome.ts';
import type { AttemptRef, JobEnding, JobInput, JobResult, OpenedJob, PlacementAnswer } from '../domain/job-messages.ts';
import { reasons } from '../domain/reasons.ts';
import { isTerminal, type TerminalStatus } from '../domain/status.ts';
import { placeOrQueue } from '../scheduler/place.ts';
import { Rejected } from '../service/rejected.ts';
import { candidateOf, planOf, type ExecutionSettings } from './job-plan.ts';

export interface RecordDependencies extends ExecutionSettings {
  db: Database;
  sites: string[];
  /** Of a description that a client of Temporal brought (`service/submit-job.ts`). */
  submit(identity: Identity, document: unknown, options: { startedBy: string }): Promise<number>;
}

export interface RecordActivities {
  openJob(input: JobInput): Promise<OpenedJob>;
  nextAttempt(
    ended: AttemptRef & { cause: 'machineLost' | 'taskLost' | 'retry'; detail: string; retries: number },
  ): Promise<PlacementAnswer>;
  finishJob(ending: JobEnding): Promise<JobResult>;
}

export function createRecordActivities(deps: RecordDependencies): RecordActivities {
  const { db } = deps;

  /** As `ask`, for an attempt that may have asked before. */
  async function askAgain(tx: Transaction, job: JobRow, attempt: number): Promise<PlacementAnswer> {
    const held = await findPlacement(tx, { jobId: job.id, attempt });
    if (!held) return ask(tx, job, attempt);
    const { machineId, site, machine } = held;
    return { kind: 'placed', placement: { attempt, machineId, site, machine } };
  }

  async function ask(tx: Transaction, job: JobRow, attempt: number): Promise<PlacementAnswer> {
    const answer = await placeOrQueue(tx, candidateOf(job, attempt), { sites: deps.sites });
    if (answer.kind === 'queued') await recordWaiting(tx, job.id, reasons.noMatchingResourcesNow, job.statusDetail);
    return answer;
  }

  return {
    async openJob(input) {
      const jobId = 'jobId' in input ? input.jobId : await registerStartedBySdk(deps, input);
      return db.transaction(async (tx) => {
        const fresh = await beginFirstAttempt(tx, jobId);
        if (fresh) return { kind: 'opened', plan: planOf(fresh, deps), attempt: 1, answer: await ask(tx, fresh, 1) };
        const job = existing(await lockJob(tx, jobId), jobId);
        if (isTerminal(job.status)) return { kind: 'closed', result: resultOf(job) };
        const { attempt } = job;
        if (job.deleteRequestedAt) {
          const ending = { status: 'deleted' as TerminalStatus, statusReason: reasons.deletedByUser, succeeded: false };
          await endJob(tx, { jobId, attempt, tasks: [], retries: 0, ...ending });
          return { kind: 'closed', result: { jobId, exitCodes: [], ...ending } };
        }
        return { kind: 'opened', plan: planOf(job, deps), attempt, answer: await askAgain(tx, job, attempt) };
      });
    },

    async nextAttempt({ jobId, attempt, cause, detail, retries }) {
      return db.transaction(async (tx) => {
        await endAttempt(tx, { jobId, attempt, outcome: cause, detail, retries });
        const job = existing(await lockJob(tx, jobId), jobId);
        // Before the machine's row, which `release` takes: whoever places takes them in this order.
        await lockPlacements(tx);
        await release(tx, { jobId, attempt });
        // A repeat that comes late must not take a place for what has ended, or goes on elsewhere.
        if (isTerminal(job.status) || job.attempt !== attempt + 1)
          return { kind: 'refused', detail: 'the job went on' };
        return askAgain(tx, job, attempt + 1);
      });
    },

    async finishJob(ending) {
      const { jobId, status, tasks, succeeded } = ending;
      const ended = await db.transaction((tx) => endJob(tx, ending));
      if (!ended) return resultOf(existing(await findJob(db, jobId), jobId));
      const { statusReason } = ended;
      return { jobId, status, ...(statusReason ? { statusReason } : {}), exitCodes: exitCodes(tasks), succeeded };
    },
  };
}

function existing(job: JobRow | undefined, jobId: number): JobRow {
  if (!job) throw ApplicationFailure.nonRetryable(`job ${jobId} is not in the database`, 'JobNotFound');
  return job;
}

/** The third door: a Temporal client brought the description. Idempotent by its workflow id. */
async function registerStartedBySdk(
  deps: RecordDependencies,
  input: Extract<JobInput, { description: unknown }>,
): Promise<number> {
  const workflowId = Context.current().info.workflowExecution!.workflowId;
  if (/^job-\d+$/.test(workflowId)) {
    throw ApplicationFailure.nonRetryable(
      'workflow ids of the form job-<number> are the service’s own: choose another',
      'InvalidDescription',
    );
  }
  if (typeof input.owner !== 'string' || input.owner === '') {
    throw ApplicationFailure.nonRetryable('owner must be a user name', 'InvalidDescription');
  }
  const { owner, groups = [], email } = input;
  try {
    return await deps.submit({ owner, groups, ...(email ? { email } : {}) }, input.description, {
      startedBy: workflowId,
    });
  } catch (error) {
    // What can't be decided now is tried again.
    if (!(error instanceof Rejected) || error.kind === 'unavailable') throw error;
    const type = error.kind === 'invalid' ? 'InvalidDescription' : 'Rejected';
    throw ApplicationFailure.nonRetryable(error.message, type, ...(error.issues ? [error.issues] : []));
  }
}

function resultOf(job: JobRow): JobResult {
  return {
    jobId: job.id,
    status: job.status as TerminalStatus,
    ...(job.statusReason ? { statusReason: job.statusReason } : {}),
    exitCodes: exitCodes(job.execution.tasks),
    succeeded: job.succeeded ?? false,
  };
}
