/** Submitting a workflow, again in whole or in part, and the dry run that stops before its rows. */
import { findKey, type Idempotency } from '../db/idempotency-keys.ts';
import type { Identity } from '../db/submissions.ts';
import {
  cloneWorkflow,
  rerunSelected,
  rerunWorkflow,
  submitWorkflow,
  submitWorkflowOnce,
  type PartialRerunAnswer,
  type RerunAnswer,
  type WorkflowSubmission,
} from '../db/workflow-submissions.ts';
import { serverFeaturesOf, unsupportedInWorkflow } from '../descriptions/unsupported.ts';
import { parseWorkflowDescription } from '../descriptions/workflow.ts';
import type { Selection } from '../domain/selection.ts';
import type { WorkflowDescription } from '../domain/workflow-description.ts';
import { planWorkflow } from '../domain/workflow-plan.ts';
import { acceptedId, idempotencyOf, refuseWrongKey } from './idempotency.ts';
import { invalid } from './rejected.ts';
import { refuseWithoutRoom } from './stored-jobs.ts';
import type { SubmitDependencies } from './submit-job.ts';
import { withUploads } from './uploads.ts';

/** @returns the workflow's id. @throws Rejected */
export async function submit(
  deps: SubmitDependencies,
  identity: Identity,
  document: unknown,
  { idempotencyKey }: { idempotencyKey?: string | undefined } = {},
): Promise<number> {
  refuseWrongKey(idempotencyKey);
  const asked = parsed(document);
  const idempotency = idempotencyOf(idempotencyKey, asked.submitted);
  // Before all that may have changed since: what was accepted once stays so.
  const earlier = idempotency && (await findKey(deps.db, identity.owner, idempotency));
  if (earlier) return acceptedId(earlier);
  const description = await checked(deps, identity, asked.description);
  const { total } = planWorkflow(description);
  const submission = { identity, submitted: asked.submitted, description };
  const id = await deps.quotas.submitting(identity.owner, total, () => store(deps, submission, idempotency));
  deps.wakeOutbox();
  return id;
}

/** What would be submitted. Everything is checked as for a submit. @throws Rejected */
export function dryRun(deps: SubmitDependencies, identity: Identity, document: unknown): Promise<WorkflowDescription> {
  return checked(deps, identity, parsed(document).description);
}

/** A workflow of the owner, whole and anew. @param original its id, and how many jobs it has. @throws Rejected */
export async function clone(
  { db, quotas, wakeOutbox }: SubmitDependencies,
  identity: Identity,
  original: { id: number; total: number },
): Promise<number> {
  await refuseWithoutRoom(db, identity.owner);
  const { id, total } = original;
  const cloned = await quotas.submitting(identity.owner, total, () => cloneWorkflow(db, identity, id));
  if (!cloned) throw invalid('Workflow does not exist');
  wakeOutbox();
  return cloned.id;
}

/** The same without what succeeded, or of what is selected. @throws Rejected */
export async function rerun(
  { db, quotas, wakeOutbox }: SubmitDependencies,
  identity: Identity,
  { id, total }: { id: number; total: number },
  selection: Selection | undefined,
): Promise<number> {
  await refuseWithoutRoom(db, identity.owner);
  const answer = await quotas.submitting<RerunAnswer | PartialRerunAnswer>(identity.owner, total, () =>
    selection ? rerunSelected(db, identity, id, selection) : rerunWorkflow(db, identity, id),
  );
  if (answer.kind !== 'accepted') throw invalid(notRerunnable(answer));
  wakeOutbox();
  return answer.id;
}

function parsed(document: unknown): Pick<WorkflowSubmission, 'submitted' | 'description'> {
  const read = parseWorkflowDescription(document);
  if (read.kind === 'valid') return read;
  throw invalid(read.issues[0]?.message ?? 'invalid workflow description', read.issues);
}

/** The description, if all it asks for can be done for this owner. */
async function checked(
  deps: SubmitDependencies,
  identity: Identity,
  description: WorkflowDescription,
): Promise<WorkflowDescription> {
  const given = { ...serverFeaturesOf(deps.config), email: identity.email };
  const unsupported = unsupportedInWorkflow(description, given);
  if (unsupported) throw invalid(unsupported);
  const factories = new Map(planWorkflow(description).steps.map(({ name, factory }) => [name, factory]));
  const jobs = await withUploads(deps, identity, description.jobs, ({ name }) => factories.get(name));
  return { ...description, jobs };
}

async function store(
  { db, sealing }: SubmitDependencies,
  plain: WorkflowSubmission,
  idempotency: Idempotency | undefined,
): Promise<number> {
  const { submitted, description } = plain;
  await refuseWithoutRoom(db, plain.identity.owner);
  const submission = { ...plain, submitted: sealing.seal(submitted), description: sealing.seal(description) };
  if (!idempotency) return (await submitWorkflow(db, submission)).id;
  return acceptedId(await submitWorkflowOnce(db, submission, idempotency));
}

function notRerunnable(answer: Exclude<RerunAnswer | PartialRerunAnswer, { kind: 'accepted' }>): string {
  switch (answer.kind) {
    case 'unfinished':
      return 'name' in answer
        ? `jobs "${answer.name}" have not ended: wait for them, or select by status`
        : 'Unable to find re-run workflow as the original workflow is not in a suitable state';
    case 'nothingSelected':
      return 'the selection has no job of the workflow';
    case 'parentMissing':
      return `job "${answer.name}" needs results of "${answer.parent}", which has not succeeded and is not selected`;
    case 'unknown':
    case 'unexpanded':
    case 'unknownJob':
      return notSelectable(answer);
  }
}

/** Why nothing of a workflow could be selected. */
export function notSelectable(
  answer: { kind: 'unknown' } | { kind: 'unexpanded' } | { kind: 'unknownJob'; name: string },
): string {
  switch (answer.kind) {
    case 'unknown':
      return 'Workflow does not exist';
    case 'unexpanded':
      return 'the jobs of the workflow are still being made: try again in a few seconds';
    case 'unknownJob':
      return `there is no job "${answer.name}" in the workflow`;
  }
}
