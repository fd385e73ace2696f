/** The outbox sender: carries what was committed to Temporal. Sending twice is harmless, so a crash costs nothing. */
import { createHash } from 'node:crypto';
import {
  isGrpcServiceError,
  ServiceError,
  ValueError,
  WorkflowExecutionAlreadyStartedError,
  WorkflowIdConflictPolicy,
  WorkflowIdReusePolicy,
  WorkflowNotFoundError,
  type Client,
  type WorkflowHandle,
  type WorkflowStartOptions,
} from '@temporalio/client';
import type { Database } from '../db/connection.ts';
import { deliverBatch, isOrphaned, type Delivery, type OutboxMessage, type OutboxSubject } from '../db/outbox.ts';
import { jobSignals } from '../domain/job-messages.ts';
import { shardSignal } from '../domain/workflow-messages.ts';
import { taskQueues } from '../domain/queues.ts';
import { jobSearchAttributes, workflowSearchAttributes } from '../temporal/search-attributes.ts';

const batchSize = 64;

/** One round: true when there may be more. @throws when Temporal could not be told anything */
export async function sendOutbox(
  db: Database,
  client: Client,
  onRefused: (message: OutboxMessage, error: unknown) => void,
): Promise<boolean> {
  let failure: unknown;
  const { taken, settled } = await deliverBatch(db, batchSize, async (messages) => {
    const delivery: Delivery = { delivered: [], refused: [] };
    await Promise.all(
      [...groupByTarget(messages).values()].map(async (inOrder) => {
        for (const [index, message] of inOrder.entries()) {
          try {
            await deliver(db, client, message);
            delivery.delivered.push(message.id);
          } catch (error) {
            if (!isRefusal(error)) return void (failure = error);
            onRefused(message, error);
            // What follows it to the same execution keeps its place behind it.
            return void delivery.refused.push(...inOrder.slice(index).map(({ id }) => id));
          }
        }
      }),
    );
    return delivery;
  });
  if (failure !== undefined && settled === 0) throw failure;
  return taken === batchSize || failure !== undefined;
}

/** gRPC's INVALID_ARGUMENT, FAILED_PRECONDITION and OUT_OF_RANGE. */
const refusals: ReadonlySet<number> = new Set([3, 9, 11]);

/** The message is what Temporal does not take, or what can't be made into one; not that it is away. */
function isRefusal(error: unknown): boolean {
  if (error instanceof ServiceError) return isGrpcServiceError(error.cause) && refusals.has(error.cause.code);
  return error instanceof ValueError;
}

/** Messages to one workflow go in the order they were written: a job is started before it is deleted. */
function groupByTarget(messages: OutboxMessage[]): Map<string, OutboxMessage[]> {
  const groups = new Map<string, OutboxMessage[]>();
  for (const message of messages) groups.set(message.target, [...(groups.get(message.target) ?? []), message]);
  return groups;
}

async function deliver(db: Database, client: Client, message: OutboxMessage): Promise<void> {
  const { kind, target, payload, subject } = message;
  const { workflow } = client;
  const start = (type: string, more: Partial<WorkflowStartOptions> = {}) =>
    once(() =>
      workflow.start(type, {
        workflowId: target,
        taskQueue: taskQueues.workflows,
        workflowIdReusePolicy: WorkflowIdReusePolicy.REJECT_DUPLICATE,
        workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
        args: [payload],
        ...more,
      }),
    );
  switch (kind) {
    case 'startJob':
      return start(
        'jobWorkflow',
        subject && { typedSearchAttributes: jobSearchAttributes(subject), ...shownAs('job', subject) },
      );
    case 'startWorkflow':
      return start(
        'dagWorkflow',
        subject && { typedSearchAttributes: workflowSearchAttributes(subject), ...shownAs('workflow', subject) },
      );
    case 'startMachine':
      // A machine that was removed may come back.
      return start('machineWorkflow', { workflowIdReusePolicy: WorkflowIdReusePolicy.ALLOW_DUPLICATE });
    case 'notify':
      return start('notificationWorkflow');
    case 'startCall':
      return start('callWorkflow');
    case 'shardNews':
      await isGone(() => workflow.getHandle(target).signal(shardSignal, payload));
      return;
    case 'placed':
      await isGone(() => workflow.getHandle(target).signal(jobSignals.placed, payload));
      return;
    case 'leftQueue':
      await isGone(() => workflow.getHandle(target).signal(jobSignals.leftQueue, payload));
      return;
    case 'deleteJob':
    case 'deleteWorkflow':
      // What was not started yet reads in its row that it is deleted; so does another execution of what is gone.
      if (!(await isCancelled(workflow.getHandle(target))) && (await isOrphaned(db, message))) {
        const type = kind === 'deleteJob' ? 'jobWorkflow' : 'dagWorkflow';
        await start(type, { workflowIdReusePolicy: WorkflowIdReusePolicy.ALLOW_DUPLICATE });
      }
  }
}

/** Dispatch by Temporal is fair between owners where the server has that turned on; everything inside inherits it. */
function shownAs(noun: string, { id, name, owner }: OutboxSubject) {
  return {
    staticSummary: `${name || `${noun} ${id}`} of ${owner}`.slice(0, 200),
    priority: { fairnessKey: fairnessKey(owner) },
  };
}

/** At most 64 bytes. */
const fairnessKey = (owner: string): string => createHash('sha256').update(owner).digest('hex');

async function once(start: () => Promise<unknown>): Promise<void> {
  try {
    await start();
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
  }
}

/** False when nothing runs that could hear it; the server takes a cancellation of what has ended for a success. */
async function isCancelled(execution: WorkflowHandle): Promise<boolean> {
  if (await isGone(() => execution.cancel())) return false;
  return (await execution.describe()).status.name === 'RUNNING';
}

/** Whether nobody was there to be told. */
async function isGone(tell: () => Promise<unknown>): Promise<boolean> {
  try {
    await tell();
    return false;
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw error;
    return true;
  }
}
