/**
 * Whose a job or workflow is, and who may change it: its owner; and a job, by its token, what that job submitted (by itself
 * or as part of a workflow) and nothing else of its owner's.
 */
import type { Database } from '../db/connection.ts';
import { findJobHandle, type JobHandle } from '../db/job-output.ts';
import type { Identity } from '../db/submissions.ts';
import { submittedJobs, submittedWorkflows } from '../db/submitters.ts';
import { findWorkflowHandle, type WorkflowHandle } from '../db/workflow-listing.ts';
import { forbidden, invalid } from './rejected.ts';

const onlyOwnSubmissions = 'The token of a job may change only what that job submitted';

/** @param id undefined: a number that nothing can have. @throws Rejected when there is none, or it is somebody else's */
export async function ownJob(db: Database, identity: Identity, id: number | undefined): Promise<JobHandle> {
  const job = id === undefined ? undefined : await findJobHandle(db, id);
  if (!job) throw invalid('Job does not exist');
  if (job.owner !== identity.owner) throw forbidden('Not authorized to access this job');
  return job;
}

/** The same of workflows. @throws Rejected */
export async function ownWorkflow(db: Database, identity: Identity, id: number | undefined): Promise<WorkflowHandle> {
  const workflow = id === undefined ? undefined : await findWorkflowHandle(db, id);
  if (!workflow) throw invalid('Workflow does not exist');
  if (workflow.owner !== identity.owner) throw forbidden('Not authorized to access this workflow');
  return workflow;
}

/** @throws Rejected where a job's token asks, and that job did not submit it */
export function refuseOthers(identity: Identity, { submittedBy }: { submittedBy: number | null }): void {
  if (identity.job && submittedBy !== identity.job.id) throw forbidden(onlyOwnSubmissions);
}

/** The same for commands in a running job, which that job itself may call as well. @throws Rejected */
export function refuseOtherRuns(identity: Identity, job: Pick<JobHandle, 'id' | 'submittedBy'>): void {
  if (identity.job?.id !== job.id) refuseOthers(identity, job);
}

const submittedBy = { job: submittedJobs, workflow: submittedWorkflows };

/** Those of `ids` that this identity may change, as far as its being a job's decides that. */
export async function changeable(
  db: Database,
  { job }: Identity,
  kind: 'job' | 'workflow',
  ids: number[],
): Promise<number[]> {
  return job ? submittedBy[kind](db, job.id, ids) : ids;
}

/** Nothing of what was asked to be changed could be. */
export const nothingChanged = ({ job }: Identity, otherwise: string) =>
  job ? forbidden(onlyOwnSubmissions) : invalid(otherwise);
