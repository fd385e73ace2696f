/**
 * A submit is one statement: the job, what Temporal must be told, and the first event are there together or not at
 * all. Nothing here looks at the description; it has been judged before.
 */
import type postgres from 'postgres';
import { exactJson } from '../domain/exact-json.ts';
import type { JobDescription } from '../domain/description.ts';
import type { Database, Sql } from './connection.ts';
import { findKey, type Idempotency, type KeyedAnswer } from './idempotency-keys.ts';

type Fragment = postgres.PendingQuery<postgres.Row[]>;

export interface Identity {
  owner: string;
  groups: string[];
  email?: string;
  /** The job whose token was used; absent where a person asks. */
  job?: { id: number; attempt: number };
  /** The token is one that the API gave out. */
  isIssued?: true;
  /** When a token of ours ends, in seconds since the epoch; absent for those of identity providers. */
  tokenEnds?: number;
  /** Until when what it submits may submit by itself, in seconds since the epoch: a job's token has that of its job. */
  signInEnds?: number;
}

export interface Submission {
  identity: Identity;
  /** As the user sent it (domain/exact-json.ts). */
  submitted: Record<string, unknown>;
  description: JobDescription;
  /** The Temporal workflow that is running already and registers itself. Absent: ours is to be started. */
  startedBy?: string;
}

/** With `startedBy` repeats give the same job. @throws the driver's error */
export async function submitJob(db: Database, submission: Submission): Promise<{ id: number }> {
  const sql = db.$client;
  const { startedBy } = submission;
  const [row] = await insertJob(sql, submission, sql`select nextval('ids')::int as id`);
  if (row) return row;
  const earlier = await findStartedBy(db, startedBy ?? '');
  if (earlier === undefined) throw new Error(`the job of ${startedBy} was removed while it was registered`);
  return { id: earlier };
}

/** The job that an execution of an SDK's client registered. */
export async function findStartedBy(db: Database, workflowId: string): Promise<number | undefined> {
  const [row] = await db.$client<{ id: number }[]>`select id from jobs where temporal_id = ${workflowId}`;
  return row?.id;
}

/**
 * The same key with the same request gives the same job, also to requests at the same moment: the second waits for the
 * first one's commit inside the insert of the key.
 */
export async function submitJobOnce(
  db: Database,
  submission: Submission,
  idempotency: Idempotency,
): Promise<KeyedAnswer> {
  const sql = db.$client;
  const { owner } = submission.identity;
  const { key, requestHash } = idempotency;
  for (;;) {
    const claim = sql`
      insert into idempotency_keys (owner, key, request_hash, resource_id)
      values (${owner}, ${key}, ${requestHash}, nextval('ids')::int)
      on conflict do nothing returning resource_id as id`;
    const [row] = await insertJob(sql, submission, claim);
    if (row) return { kind: 'accepted', id: row.id };
    const earlier = await findKey(db, owner, idempotency);
    // Neither inserted nor found: the key was forgotten in between, so it is free again.
    if (earlier) return earlier;
  }
}

/**
 * A new job from an own one, as it was submitted; undefined when the owner has no such job. From a job of a workflow
 * comes a job of its own, with the same parameters. The owner's address stays known where this token does not tell it.
 */
export async function cloneJob(db: Database, identity: Identity, jobId: number): Promise<{ id: number } | undefined> {
  const sql = db.$client;
  const [row] = await sql<{ id: number }[]>`
    with original as (
      select owner, email, coalesce(steps.name, jobs.name) as name, labels, parameters,
        coalesce(jobs.submitted, steps.submitted) as submitted, coalesce(jobs.description, steps.description) as description
      from jobs left join workflow_steps as steps on steps.workflow_id = jobs.workflow_id and steps.step = jobs.step
      where id = ${jobId} and owner = ${identity.owner}
    ), job as (
      insert into jobs (id, temporal_id, owner, groups, email, name, labels, submitted, description, leave_in_queue, parameters, submitted_by, sign_in_ends)
      select fresh.id, 'job-' || fresh.id, owner, ${identity.groups}::text[], coalesce(${identity.email ?? null}::text, email), name,
        labels, submitted, description, coalesce((description->'policies'->>'leaveInQueue')::boolean, false), parameters,
        ${identity.job?.id ?? null}::int, to_timestamp(${identity.signInEnds ?? null}::float8)
      from original, (select nextval('ids')::int as id) as fresh
      returning id, temporal_id
    ), ${announcement(sql)}
    select id from job`;
  return row;
}

/** `source` yields the id to use, or no row for no job. */
async function insertJob(sql: Sql, submission: Submission, source: Fragment): Promise<{ id: number }[]> {
  const { identity, submitted, description, startedBy } = submission;
  return sql<{ id: number }[]>`
    with source as (${source}), job as (
      insert into jobs (id, temporal_id, owner, groups, email, name, labels, submitted, description, leave_in_queue, submitted_by, sign_in_ends)
      select id, coalesce(${startedBy ?? null}::text, 'job-' || id), ${identity.owner}, ${identity.groups}::text[],
        ${identity.email ?? null}::text, ${description.name}, ${JSON.stringify(description.labels)}::jsonb,
        ${exactJson(submitted)}::json, ${JSON.stringify(description)}::jsonb, ${description.policies.leaveInQueue},
        ${identity.job?.id ?? null}::int, to_timestamp(${identity.signInEnds ?? null}::float8)
      from source
      ${startedBy === undefined ? sql`` : sql`on conflict (temporal_id) do nothing`}
      returning id, temporal_id
    ), ${startedBy === undefined ? announcement(sql) : createdEvent(sql)}
    select id from job`;
}

const announcement = (sql: Sql) => sql`
  start as (
    insert into outbox (kind, target, payload)
    select 'startJob', temporal_id, jsonb_build_object('jobId', id) from job
  ), ${createdEvent(sql)}`;

const createdEvent = (sql: Sql) => sql`
  event as (insert into job_events (job_id, kind) select id, 'created' from job)`;
