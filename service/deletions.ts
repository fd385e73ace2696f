/** Deleting jobs and workflows, and taking ended ones out of the lists where they were kept. */
import type { Database } from '../db/connection.ts';
import { requestDeletion } from '../db/job-requests.ts';
import { markDeleted, removeFromQueue } from '../db/queue-requests.ts';
import type { Identity } from '../db/submissions.ts';
import { changeable, nothingChanged, ownJob, ownWorkflow, refuseOthers } from './own.ts';
import { invalid } from './rejected.ts';

interface Dependencies {
  db: Database;
  wakeOutbox: () => void;
}

/** What of `ids` is the identity's and can be deleted, is. @throws Rejected where that is nothing */
export async function deleteJobs({ db, wakeOutbox }: Dependencies, identity: Identity, ids: number[]): Promise<void> {
  const found = await requestDeletion(db, identity.owner, await changeable(db, identity, 'job', ids));
  if (found === 0) throw nothingChanged(identity, 'No such job(s)');
  wakeOutbox();
}

/** The same with all their jobs. @throws Rejected */
export async function deleteWorkflows(
  { db, wakeOutbox }: Dependencies,
  identity: Identity,
  ids: number[],
): Promise<void> {
  const found = await markDeleted(db, 'workflow', identity.owner, await changeable(db, identity, 'workflow', ids));
  if (found === 0) throw nothingChanged(identity, 'No such workflow(s)');
  wakeOutbox();
}

/** @throws Rejected */
export async function removeJob(db: Database, identity: Identity, id: number | undefined): Promise<void> {
  const job = await ownJob(db, identity, id);
  refuseOthers(identity, job);
  if (!(await removeFromQueue(db, 'job', identity.owner, job.id))) throw invalid('Job is no longer in the queue');
}

/** @throws Rejected */
export async function removeWorkflow(db: Database, identity: Identity, id: number | undefined): Promise<void> {
  const workflow = await ownWorkflow(db, identity, id);
  refuseOthers(identity, workflow);
  const isRemoved = await removeFromQueue(db, 'workflow', identity.owner, workflow.id);
  if (!isRemoved) throw invalid('Workflow is no longer in the queue');
}
