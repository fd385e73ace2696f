/** The outbox sender: carries what was committed to Temporal. Sending twice is harmless, so a crash costs nothing. */
import { createHash } from 'node:crypto';
import {
  WorkflowExecutionAlreadyStartedError,
  WorkflowIdConflictPolicy,
  WorkflowIdReusePolicy,
  WorkflowNotFoundError,
  type Client,
  type WorkflowStartOptions,
} from '@temporalio/client';
import type { Database } from '../db/connection.ts';
import { deliverBatch, type OutboxMessage, type OutboxSubject } from '../db/outbox.ts';
import { jobSignals } from '../domain/job-messages.ts';
import { shardSignal } from '../domain/workflow-messages.ts';
import { taskQueues } from '../domain/queues.ts';
import { jobSearchAttributes, workflowSearchAttributes } from '../temporal/search-attributes.ts';

const batchSize = 64;

/** One round: true when there may be more. @throws when Temporal could not be told anything */
export async function sendOutbox(db: Database, client: Client): Promise<boolean> {
  let failure: unknown;
  const { taken, delivered } = await deliverBatch(db, batchSize, async (messages) => {
    const byTarget = groupByTarget(messages);
    const sent = await Promise.all(
      [...byTarget.values()].map(async (inOrder) => {
        const done: number[] = [];
        try {
          for (const message of inOrder) {
            await deliver(client, message);
            done.push(message.id);
          }
        } catch (error) {
          failure = error;
        }
        return done;
      }),
    );
    return sent.flat();
  });
  if (failure !== undefined && delivered === 0) throw failure;
  return taken === batchSize || failure !== undefined;
}

/** Messages to one workflow go in the order they were written: a job is started before it is deleted. */
function groupByTarget(messages: OutboxMessage[]): Map<string, OutboxMessage[]> {
  const groups = new Map<string, OutboxMessage[]>();
  for (const message of messages) groups.set(message.target, [...(groups.get(message.target) ?? []), message]);
  return groups;
}

async function deliver(client: Client, { kind, target, payload, subject }: OutboxMessage): Promise<void> {
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
      return unlessGone(() => workflow.getHandle(target).signal(shardSignal, payload));
    case 'placed':
      return unlessGone(() => workflow.getHandle(target).signal(jobSignals.placed, payload));
    case 'leftQueue':
      return unlessGone(() => workflow.getHandle(target).signal(jobSignals.leftQueue, payload));
    case 'deleteJob':
    case 'deleteWorkflow':
      // What was not started yet reads in its row that it is deleted.
      return unlessGone(async () => {
        await workflow.getHandle(target).cancel();
      });
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

async function unlessGone(tell: () => Promise<void>): Promise<void> {
  try {
    await tell();
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw error;
  }
}
