/** Database work of the workflows of a DAG. Each may be repeated after any crash: what was done is found, not done again. */
import { setTimeout as pause } from 'node:timers/promises';
import { ApplicationFailure } from '@temporalio/common';
import { Context } from '@temporalio/activity';
import type { Database } from '../db/connection.ts';
import { findJob } from '../db/execution.ts';
import { closeJobs, dequeueJobs, endUnbegun } from '../db/unrun-jobs.ts';
import { endWorkflow, findDag, lockRange, releaseSteps } from '../db/workflow-execution.ts';
import { expandNext } from '../db/workflow-expansion.ts';
import { isTerminal } from '../domain/status.ts';
import type { DagEnd, DagInput, JobsToClose, OpenedDag, OpenedShard } from '../domain/workflow-messages.ts';
import { queueShard } from '../scheduler/place.ts';
import { candidateOf, planOf, type ExecutionSettings } from './job-plan.ts';

export interface DagActivities {
  openDag(input: DagInput): Promise<OpenedDag>;
  /** Make the jobs that have no row yet. */
  expandDag(input: DagInput): Promise<void>;
  /** From now on the jobs of these steps are queued. */
  releaseSteps(input: DagInput & { steps: number[] }): Promise<void>;
  /** The same, for workflows of `RecordedPlan`. */
  releaseNodes(input: DagInput & { nodes: number[] }): Promise<void>;
  openShard(range: { firstJobId: number; count: number; shardId: string }): Promise<OpenedShard>;
  /** Nothing, for so long: meanwhile the server gathers what happens into one workflow task. */
  gather(wait: { milliseconds: number }): Promise<void>;
  closeJobs(close: JobsToClose): Promise<void>;
  endDag(input: DagInput & { isDeleted: boolean }): Promise<DagEnd>;
}

const batchSize = 5000;

export interface DagDependencies extends ExecutionSettings {
  db: Database;
  sites: string[];
}

export function createDagActivities(deps: DagDependencies): DagActivities {
  const { db } = deps;
  return {
    async openDag({ workflowId }) {
      const found = await findDag(db, workflowId);
      if (!found) throw ApplicationFailure.nonRetryable(`workflow ${workflowId} is not in the database`, 'NotFound');
      const { status, plan, isDeleted } = found;
      if (isTerminal(status)) return { kind: 'closed', result: { workflowId, status } };
      return { kind: 'opened', plan, ...(isDeleted ? { isDeleted } : {}) };
    },

    async expandDag({ workflowId }) {
      await inBatches(() => db.$client.begin((sql) => expandNext(sql, workflowId, batchSize)));
      // So many new rows make the planner's picture of the table wrong, and pages of lists slow, until it looks again.
      // Who vacuums the table by hand is not waited for.
      await db.$client`analyze (skip_locked) jobs`;
    },

    releaseSteps: ({ workflowId, steps }) => releaseSteps(db, workflowId, steps),
    releaseNodes: ({ workflowId, nodes }) => releaseSteps(db, workflowId, nodes),

    openShard: ({ shardId, ...range }) =>
      db.transaction(async (tx) => {
        const jobs = await lockRange(tx, range);
        const waiting = jobs.filter(({ status }) => !isTerminal(status)).map(({ id }) => id);
        const failed = jobs.filter(({ succeeded }) => succeeded === false).length;
        const [first] = waiting;
        if (first === undefined) return { waiting, failed };
        // Jobs of one step differ in what they run, not in what they need.
        const job = (await findJob(tx, first))!;
        const plan = planOf(job, deps);
        const jobIds = jobs.filter(({ status, attempt }) => !isTerminal(status) && attempt === 0).map(({ id }) => id);
        if (jobIds.length === 0) return { waiting, failed, plan };
        const { jobId: _, ...candidate } = candidateOf(job, 1);
        const request = { ...candidate, temporalId: shardId, jobIds, queueSeconds: plan.queueSeconds };
        const answer = await queueShard(tx, request, { sites: deps.sites });
        if (answer.kind === 'queued') return { waiting, failed, plan };
        const { statusReason: reason, statusDetail: detail } = answer.refusal;
        const refused = await endUnbegun(tx, { ids: jobIds }, { status: 'failed', reason, detail });
        const asking = new Set(jobIds);
        return { waiting: waiting.filter((id) => !asking.has(id)), failed: failed + refused, plan };
      }),

    gather: ({ milliseconds }) => pause(milliseconds),

    async closeJobs(close) {
      if (close.which === 'neverStarted') await dequeueJobs(db, close.workflowId);
      await inBatches(async () => !(await closeJobs(db, close, batchSize)));
      // Again for those that opened meanwhile.
      if (close.which === 'neverStarted') await dequeueJobs(db, close.workflowId);
    },

    async endDag({ workflowId, isDeleted }) {
      const status = await endWorkflow(db, workflowId, isDeleted);
      return status === undefined ? { kind: 'leftOver' } : { kind: 'ended', result: { workflowId, status } };
    },
  };
}

/** Until `batch` says that it was the last. */
async function inBatches(batch: () => Promise<boolean>): Promise<void> {
  while (!(await batch())) Context.current().heartbeat();
}
