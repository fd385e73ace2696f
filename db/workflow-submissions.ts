/**
 * A submit is one transaction: the workflow, its steps, what Temporal must be told, and the jobs of a small workflow are
 * there together or not at all. Jobs of a large one are only a range of ids until the workflow itself expands them.
 */
import { exactJson } from '../domain/exact-json.ts';
import type { WorkflowDescription } from '../domain/workflow-description.ts';
import { planWorkflow, type WorkflowPlan } from '../domain/workflow-plan.ts';
import { resolveSelection, type StepSelection, type Selection } from '../domain/selection.ts';
import type { Database, Sql, SqlTransaction } from './connection.ts';
import { findKey, type Idempotency, type KeyedAnswer } from './idempotency-keys.ts';
import type { Identity } from './submissions.ts';
import { expandNext } from './workflow-expansion.ts';
import { countSelected, type SelectedStep } from './workflow-selection.ts';

export interface WorkflowSubmission {
  identity: Identity;
  /** As the user sent it. */
  submitted: Record<string, unknown>;
  description: WorkflowDescription;
}

/** A workflow up to this size has its jobs when the submit is answered. */
const expandedAtOnce = 1000;

/** @throws the driver's error */
export async function submitWorkflow(db: Database, submission: WorkflowSubmission): Promise<{ id: number }> {
  return store(db.$client, submission, async () => true);
}

/** The same key with the same request gives the same workflow, also to requests at the same moment. */
export async function submitWorkflowOnce(
  db: Database,
  submission: WorkflowSubmission,
  idempotency: Idempotency,
): Promise<KeyedAnswer> {
  const { owner } = submission.identity;
  const { key, requestHash } = idempotency;
  for (;;) {
    const earlier = await findKey(db, owner, idempotency);
    if (earlier) return earlier;
    // The second of two at the same moment waits here for the first one's commit, and then finds its key.
    const claim = async (sql: SqlTransaction, id: number): Promise<boolean> => {
      const rows = await sql`
        insert into idempotency_keys (owner, key, request_hash, resource_id)
        values (${owner}, ${key}, ${requestHash}, ${id})
        on conflict do nothing returning resource_id`;
      return rows.length > 0;
    };
    try {
      return { kind: 'accepted', ...(await store(db.$client, submission, claim)) };
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
    }
  }
}

/** A new workflow from an own one, as it was submitted; undefined when the owner has no such workflow. */
export async function cloneWorkflow(
  db: Database,
  identity: Identity,
  workflowId: number,
): Promise<{ id: number } | undefined> {
  const original = await findOriginal(db.$client, identity.owner, workflowId);
  return original && submitWorkflow(db, again(identity, original));
}

/** What a workflow keeps of an earlier one: all that succeeded and is not selected to run again. */
interface Rerun {
  of: number;
  /** Absent: all that did not succeed. */
  selection?: StepSelection;
}

export type RerunAnswer =
  | { kind: 'accepted'; id: number }
  | { kind: 'unknown' }
  /** It has not come to its end. */
  | { kind: 'unfinished' };

/** A new workflow that keeps what succeeded in an own one that ended, and runs the rest again. */
export async function rerunWorkflow(db: Database, identity: Identity, workflowId: number): Promise<RerunAnswer> {
  const original = await findOriginal(db.$client, identity.owner, workflowId);
  if (!original) return { kind: 'unknown' };
  if (!original.isFinished) return { kind: 'unfinished' };
  const id = await storeRerun(db.$client, again(identity, original), { of: workflowId });
  return id === undefined ? { kind: 'unknown' } : { kind: 'accepted', id };
}

export type PartialRerunAnswer =
  | { kind: 'accepted'; id: number }
  | { kind: 'unknown' }
  /** Its jobs are still being made. */
  | { kind: 'unexpanded' }
  | { kind: 'unknownJob'; name: string }
  | { kind: 'nothingSelected' }
  /** Jobs that were selected have not ended. */
  | { kind: 'unfinished'; name: string }
  /** A job would run without results of another that did not succeed, and is not selected. */
  | { kind: 'parentMissing'; name: string; parent: string };

/**
 * A new workflow that runs the selected jobs of an own one again, keeps what else succeeded there, and leaves out the
 * rest. The earlier one may still run: only what is selected must have ended.
 */
export async function rerunSelected(
  db: Database,
  identity: Identity,
  workflowId: number,
  selection: Selection,
): Promise<PartialRerunAnswer> {
  const sql = db.$client;
  const original = await findOriginal(sql, identity.owner, workflowId);
  if (!original) return { kind: 'unknown' };
  if (!original.isExpanded) return { kind: 'unexpanded' };
  const resolved = resolveSelection(selection, planWorkflow(original.description).steps);
  if (resolved.kind !== 'resolved') return resolved;
  const steps = await countSelected(sql, workflowId, resolved.selection);
  const problem = problemOf(steps);
  if (problem) return problem;
  const rerun = { of: workflowId, selection: resolved.selection };
  const id = await storeRerun(sql, again(identity, original), rerun);
  return id === undefined ? { kind: 'unknown' } : { kind: 'accepted', id };
}

/** Undefined when the earlier workflow is being removed: from what is locked here the rerun takes what it keeps. */
async function storeRerun(sql: Sql, submission: WorkflowSubmission, rerun: Rerun): Promise<number | undefined> {
  const claim = async (tx: SqlTransaction) => {
    const rows = await tx`select 1 from workflows where id = ${rerun.of} and not removal_begun for share`;
    return rows.length > 0;
  };
  try {
    return (await store(sql, submission, claim, rerun)).id;
  } catch (error) {
    if (error instanceof Refused) return undefined;
    throw error;
  }
}

function problemOf(steps: SelectedStep[]): PartialRerunAnswer | undefined {
  const taken = steps.filter(({ selected }) => selected > 0);
  if (taken.length === 0) return { kind: 'nothingSelected' };
  const unfinished = taken.find((step) => step.unfinished > 0);
  if (unfinished) return { kind: 'unfinished', name: unfinished.name };
  // What is selected and has succeeded counts once.
  const isGiven = ({ count, done, selected, succeeded }: SelectedStep) => done + selected - succeeded === count;
  for (const { name, parents } of taken) {
    const missing = parents.map((parent) => steps[parent]!).find((parent) => !isGiven(parent));
    if (missing) return { kind: 'parentMissing', name, parent: missing.name };
  }
  return undefined;
}

class Refused extends Error {}

/** The owner's address stays known where this token does not tell it. */
function again(identity: Identity, { submitted, description, email }: Original): WorkflowSubmission {
  return { identity: { ...(email === null ? {} : { email }), ...identity }, submitted, description };
}

interface Original {
  email: string | null;
  submitted: Record<string, unknown>;
  description: WorkflowDescription;
  isFinished: boolean;
  isExpanded: boolean;
}

async function findOriginal(sql: Sql, owner: string, id: number): Promise<Original | undefined> {
  const [row] = await sql<Original[]>`
    select email, submitted, description, status not in ('pending', 'running') as "isFinished",
      is_expanded as "isExpanded"
    from workflows where id = ${id} and owner = ${owner}`;
  return row;
}

/** `claim` may refuse inside the transaction: nothing is stored then. @throws Refused */
async function store(
  sql: Sql,
  submission: WorkflowSubmission,
  claim: (sql: SqlTransaction, id: number) => Promise<boolean>,
  rerun?: Rerun,
): Promise<{ id: number }> {
  const plan = planWorkflow(submission.description);
  const id = await reserveIds(sql, 1 + plan.total);
  await sql.begin(async (tx) => {
    if (!(await claim(tx, id))) throw new Refused();
    await insertWorkflow(tx, id, submission, plan, rerun);
    await insertSteps(tx, id, submission, plan);
    if (plan.total <= expandedAtOnce) await expandNext(tx, id, expandedAtOnce);
  });
  return { id };
}

/**
 * The first of so many ids in a row, in a transaction of its own. ALTER SEQUENCE lets transactions that drew an id end
 * and keeps others waiting, so nobody can get one from inside the range. Ids of a submit that fails are never used.
 */
async function reserveIds(sql: Sql, count: number): Promise<number> {
  return sql.begin(async (tx) => {
    await tx`alter sequence ids no cycle`;
    const [row] = await tx<{ first: number }[]>`select nextval('ids')::int as first`;
    await tx`select setval('ids', ${row!.first + count - 1})`;
    return row!.first;
  });
}

async function insertWorkflow(
  sql: SqlTransaction,
  id: number,
  { identity, submitted, description }: WorkflowSubmission,
  { total }: WorkflowPlan,
  rerun: Rerun | undefined,
): Promise<void> {
  const temporalId = `workflow-${id}`;
  await sql`
    with told as (
      insert into outbox (kind, target, payload)
      values ('startWorkflow', ${temporalId}, ${JSON.stringify({ workflowId: id })}::jsonb)
    )
    insert into workflows (id, temporal_id, owner, groups, email, name, labels, submitted, description, leave_in_queue,
      first_job_id, total, rerun_of, rerun_selection, submitted_by, sign_in_ends)
    values (${id}, ${temporalId}, ${identity.owner}, ${identity.groups}::text[], ${identity.email ?? null}::text,
      ${description.name}, ${JSON.stringify(description.labels)}::jsonb, ${exactJson(submitted)}::json,
      ${JSON.stringify(description)}::jsonb, ${description.policies.leaveInQueue}, ${id + 1}, ${total}, ${rerun?.of ?? null}::int,
      ${rerun?.selection ? JSON.stringify(rerun.selection) : null}::jsonb, ${identity.job?.id ?? null}::int,
      to_timestamp(${identity.signInEnds ?? null}::float8))`;
}

async function insertSteps(
  sql: SqlTransaction,
  id: number,
  { submitted }: WorkflowSubmission,
  { steps }: WorkflowPlan,
): Promise<void> {
  const jobs = submitted['jobs'] as unknown[];
  const rows = steps.map(({ name, offset, count, factory, parents, description }, step) => ({
    step,
    name,
    first: id + 1 + offset,
    count,
    factory: factory !== undefined,
    submitted: jobs[step],
    description,
    parents,
  }));
  await sql`
    insert into workflow_steps (workflow_id, step, name, first_job_id, count, is_factory, submitted, description, parents)
    select ${id}, fresh.step, fresh.name, first, fresh.count, factory, fresh.submitted, fresh.description,
      coalesce(array(select json_array_elements_text(fresh.parents)::int), '{}')
    from json_to_recordset(${exactJson(rows)}::json) as fresh (step int, name text, first int, count int,
      factory boolean, submitted json, description jsonb, parents json)`;
}
