/** What happens between a POSTed workflow and its rows, and the dry run that stops before them. */
import type { Context } from 'hono';
import type { Database } from '../db/connection.ts';
import type { Identity } from '../db/submissions.ts';
import { submitWorkflow, submitWorkflowOnce, type WorkflowSubmission } from '../db/workflow-submissions.ts';
import { abilitiesOf, unsupportedInWorkflow, type Configured } from '../descriptions/unsupported.ts';
import { parseWorkflowDescription } from '../descriptions/workflow.ts';
import type { WorkflowDescription } from '../domain/workflow-description.ts';
import { planWorkflow } from '../domain/workflow-plan.ts';
import type { Sealing } from '../secrets/sealing.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { readJson } from './body.ts';
import { badRequest } from './errors.ts';
import { readKey, refuseReusedKey, requestHash } from './idempotency.ts';
import { planView } from './plan-view.ts';
import type { Env } from './resource.ts';
import { refuseWithoutRoom } from './stored-jobs.ts';
import { withUploads } from './uploaded-objects.ts';

interface Dependencies {
  config: Configured;
  db: Database;
  store: ObjectStore;
  sealing: Sealing;
  wakeOutbox: () => void;
}

/** @returns the workflow's id. @throws ApiError */
export async function createWorkflow(c: Context<Env>, deps: Dependencies): Promise<number> {
  const key = readKey(c);
  const submission = await readSubmission(c, deps);
  const id = await store(deps, submission, key);
  deps.wakeOutbox();
  return id;
}

/** What the workflow would be made of. Everything is checked as for a submit. @throws ApiError */
export async function dryRun(c: Context<Env>, deps: Dependencies): Promise<Record<string, unknown>> {
  const { description } = await readSubmission(c, deps);
  return planView(description.name, planWorkflow(description));
}

export function isDryRun(c: Context): boolean {
  const asked = c.req.query('dryrun') ?? c.req.query('dryRun');
  return asked !== undefined && asked !== 'false' && asked !== '0';
}

async function readSubmission(c: Context<Env>, deps: Dependencies): Promise<WorkflowSubmission> {
  const parsed = parseWorkflowDescription(await readJson(c));
  if (parsed.kind === 'invalid') {
    throw badRequest(parsed.issues[0]?.message ?? 'invalid workflow description', { issues: parsed.issues });
  }
  const { submitted, description } = parsed;
  const identity = c.get('identity');
  const given = { ...abilitiesOf(deps.config), email: identity.email };
  const unsupported = unsupportedInWorkflow(description, given);
  if (unsupported) throw badRequest(unsupported);
  return { identity, submitted, description: await withWorkflowUploads(deps, identity, description) };
}

async function withWorkflowUploads(
  deps: Dependencies,
  identity: Identity,
  description: WorkflowDescription,
): Promise<WorkflowDescription> {
  const factories = new Map(planWorkflow(description).nodes.map(({ name, factory }) => [name, factory]));
  const jobs = await withUploads(deps, identity, description.jobs, ({ name }) => factories.get(name));
  return { ...description, jobs };
}

async function store(
  { db, sealing }: Dependencies,
  plain: WorkflowSubmission,
  key: string | undefined,
): Promise<number> {
  const { submitted, description } = plain;
  await refuseWithoutRoom(db, plain.identity.owner);
  const submission = { ...plain, submitted: sealing.seal(submitted), description: sealing.seal(description) };
  if (key === undefined) return (await submitWorkflow(db, submission)).id;
  const idempotency = { key, requestHash: requestHash(submitted) };
  const answer = await submitWorkflowOnce(db, submission, idempotency);
  return answer.kind === 'keyReused' ? refuseReusedKey() : answer.id;
}
