/** What happens between a POSTed workflow and its rows, and the dry run that stops before them. */
import type { Context } from 'hono';
import { findKey, type Idempotency } from '../db/idempotency-keys.ts';
import type { Identity } from '../db/submissions.ts';
import { submitWorkflow, submitWorkflowOnce, type WorkflowSubmission } from '../db/workflow-submissions.ts';
import { serverFeaturesOf, unsupportedInWorkflow } from '../descriptions/unsupported.ts';
import { parseWorkflowDescription } from '../descriptions/workflow.ts';
import type { WorkflowDescription } from '../domain/workflow-description.ts';
import { planWorkflow } from '../domain/workflow-plan.ts';
import { readDescription } from './body.ts';
import { badRequest } from './errors.ts';
import { idempotencyOf, acceptedId, readKey } from './idempotency.ts';
import { planView } from './plan-view.ts';
import type { Env } from './resource.ts';
import { refuseWithoutRoom } from './stored-jobs.ts';
import type { SubmitDependencies } from './submit.ts';
import { withUploads } from './uploaded-objects.ts';

/** @returns the workflow's id. @throws ApiError */
export async function createWorkflow(c: Context<Env>, deps: SubmitDependencies): Promise<number> {
  const key = readKey(c);
  const asked = await readAsked(c);
  const identity = c.get('identity');
  const idempotency = idempotencyOf(key, asked.submitted);
  // Before all that may have changed since: what was accepted once stays so.
  const earlier = idempotency && (await findKey(deps.db, identity.owner, idempotency));
  if (earlier) return acceptedId(earlier);
  const description = await checked(deps, identity, asked.description);
  const { total } = planWorkflow(description);
  const id = await deps.quotas.submitting(identity.owner, total, () =>
    store(deps, { identity, submitted: asked.submitted, description }, idempotency),
  );
  deps.wakeOutbox();
  return id;
}

/** What the workflow would be made of. Everything is checked as for a submit. @throws ApiError */
export async function dryRun(c: Context<Env>, deps: SubmitDependencies): Promise<Record<string, unknown>> {
  const asked = await readAsked(c);
  const description = await checked(deps, c.get('identity'), asked.description);
  return planView(description.name, planWorkflow(description));
}

async function readAsked(c: Context<Env>): Promise<Pick<WorkflowSubmission, 'submitted' | 'description'>> {
  const parsed = parseWorkflowDescription(await readDescription(c));
  if (parsed.kind === 'valid') return parsed;
  throw badRequest(parsed.issues[0]?.message ?? 'invalid workflow description', { issues: parsed.issues });
}

/** The description, if all it asks for can be done for this owner. */
async function checked(
  deps: SubmitDependencies,
  identity: Identity,
  description: WorkflowDescription,
): Promise<WorkflowDescription> {
  const given = { ...serverFeaturesOf(deps.config), email: identity.email };
  const unsupported = unsupportedInWorkflow(description, given);
  if (unsupported) throw badRequest(unsupported);
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
