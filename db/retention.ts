/**
 * What is old enough to go, and its going. A job without a workflow goes by itself, a workflow with all its jobs, in
 * batches, itself last. What a rerun kept of a workflow that went stays until the rerun goes: the output of its tasks,
 * and its objects. What was used stays counted for ever, by owner, groups and day.
 */
import { sql, type SQL } from 'drizzle-orm';
import type { Database, Sql } from './connection.ts';
import type { Fragment } from './list-pages.ts';
import { usedSeconds, wasUsed } from './usage.ts';

/** Kept by leaveInQueue, and ended before this: they leave the queue, as if their owners had removed them. */
export async function endKeeping(db: Database, before: Date): Promise<number> {
  const ended = async (table: SQL) => {
    const rows = await db.execute(sql`
      update ${table} set in_queue = false, leave_in_queue = false
      where in_queue and status not in ('pending', 'running') and ended_at < ${before.toISOString()}::timestamptz returning id`);
    return rows.length;
  };
  return (await ended(sql`jobs`)) + (await ended(sql`workflows`));
}

export interface JobPastRetention {
  id: number;
  /** Names its folders in the store. */
  uid: string;
  /** Whether anything of it may be in the store. */
  hasOutputs: boolean;
  hasSnapshots: boolean;
}

/** Some jobs without a workflow that ended before, the oldest first. */
export async function jobsPastRetention(db: Database, before: Date, limit: number): Promise<JobPastRetention[]> {
  const client = db.$client;
  return client<JobPastRetention[]>`
    select ${facts(client, client`jobs.description`)} from jobs
    where workflow_id is null and status not in ('pending', 'running') and not in_queue and ended_at < ${before.toISOString()}::timestamptz
    order by ended_at limit ${limit}`;
}

/**
 * The next workflow that ended before, or whose removal was begun; from now on nobody can run it again. One whose
 * jobs a rerun has yet to copy is left for later.
 */
export async function claimExpiredWorkflow(db: Database, before: Date): Promise<number | undefined> {
  return db.$client.begin(async (tx) => {
    // Locked first, so that the look for reruns sees those that held the row until now.
    const [workflow] = await tx<{ id: number }[]>`
      select id from workflows
      where removal_begun or (status not in ('pending', 'running') and not in_queue and ended_at < ${before.toISOString()}::timestamptz
        and not exists (select 1 from workflows again where again.rerun_of = workflows.id and not again.is_expanded))
      order by not removal_begun, ended_at limit 1 for update skip locked`;
    if (!workflow) return undefined;
    const [claimed] = await tx<{ id: number }[]>`
      update workflows set removal_begun = true where id = ${workflow.id}
        and not exists (select 1 from workflows again where again.rerun_of = ${workflow.id} and not again.is_expanded)
      returning id`;
    return claimed?.id;
  });
}

export async function jobsOfExpired(db: Database, workflowId: number, limit: number): Promise<JobPastRetention[]> {
  const client = db.$client;
  return client<JobPastRetention[]>`
    select ${facts(client, client`steps.description`)} from jobs
    join workflow_steps as steps on steps.workflow_id = jobs.workflow_id and steps.step = jobs.step
    where jobs.workflow_id = ${workflowId} order by jobs.id limit ${limit}`;
}

const facts = (client: Sql, description: Fragment): Fragment => client`
  jobs.id, jobs.uid,
  jsonb_array_length(${description}->'outputFiles') + jsonb_array_length(${description}->'outputDirs') > 0 as "hasOutputs",
  exists (select 1 from job_calls where job_id = jobs.id and request->>'kind' = 'snapshot') as "hasSnapshots"`;

/** Objects that rows of these jobs name, maybe in folders of others that went before. */
export async function namedObjects(db: Database, ids: number[]): Promise<string[]> {
  const rows = await db.$client<{ key: string }[]>`
    select distinct object_key as key from outputs where job_id = any(${ids}::int[])`;
  return rows.map(({ key }) => key);
}

/** Which of the objects are also those of other jobs than these. */
export async function sharedObjects(db: Database, keys: string[], ids: number[]): Promise<Set<string>> {
  if (keys.length === 0) return new Set();
  const rows = await db.$client<{ key: string }[]>`
    select distinct object_key as key from outputs where object_key = any(${keys}::text[]) and job_id <> all(${ids}::int[])`;
  return new Set(rows.map(({ key }) => key));
}

/** All rows of these jobs, in one transaction with the count of what they used. Repeats find nothing. */
export async function removeJobs(db: Database, ids: number[]): Promise<void> {
  if (ids.length === 0) return;
  await db.$client.begin(async (tx) => {
    await tx`
      insert into past_usage (owner, groups, day, jobs, cpu_seconds, wall_seconds)
      select owner, groups, (created_at at time zone 'UTC')::date, count(*), sum(used.cpu), sum(used.wall)
      from jobs cross join lateral (${usedSeconds(tx)}) as used
      where id = any(${ids}::int[]) and ${wasUsed(tx)} group by 1, 2, 3
      on conflict (owner, groups, day) do update set jobs = past_usage.jobs + excluded.jobs,
        cpu_seconds = past_usage.cpu_seconds + excluded.cpu_seconds, wall_seconds = past_usage.wall_seconds + excluded.wall_seconds`;
    const gone = await tx<{ id: number; origin: number }[]>`
      delete from jobs where id = any(${ids}::int[]) returning id, coalesce(kept_from, id) as origin`;
    const all = gone.map(({ id }) => id);
    // The job whose output it is and those that reruns kept of it: the last one takes it along.
    await tx`
      delete from job_logs where job_id in (
        select origin from unnest(${gone.map(({ origin }) => origin)}::int[]) as origins (origin)
        where not exists (select 1 from jobs where id = origin or kept_from = origin)
      )`;
    await tx`delete from job_events where job_id = any(${all}::int[])`;
    await tx`delete from attempts where job_id = any(${all}::int[])`;
    await tx`delete from outputs where job_id = any(${all}::int[])`;
    await tx`delete from job_points where job_id = any(${all}::int[])`;
    await tx`delete from job_calls where job_id = any(${all}::int[])`;
    await tx`delete from notifications where subject_id = any(${all}::int[])`;
  });
}

/** What is left when its jobs are gone. */
export async function removeWorkflow(db: Database, id: number): Promise<void> {
  await db.$client.begin(async (tx) => {
    await tx`delete from workflow_steps where workflow_id = ${id}`;
    await tx`delete from notifications where subject_id = ${id}`;
    await tx`delete from workflows where id = ${id}`;
  });
}

/** A key is good as long as what it made: nobody makes a second one with it. Returns how many went. */
export async function forgetKeys(db: Database, before: Date, limit: number): Promise<number> {
  const rows = await db.$client`
    delete from idempotency_keys where (owner, key) in (
      select owner, key from idempotency_keys where created_at < ${before.toISOString()}::timestamptz
        and not exists (select 1 from jobs where id = resource_id)
        and not exists (select 1 from workflows where id = resource_id)
      order by created_at limit ${limit}
    ) returning 1`;
  return rows.length;
}
