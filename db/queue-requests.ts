/** What users ask of what is in the queue, be it a job or a workflow: both tables have the same columns for it. */
import { sql } from 'drizzle-orm';
import type { Database, Transaction } from './connection.ts';

const tables = {
  job: { name: sql`jobs`, message: 'deleteJob', idMember: 'jobId' },
  workflow: { name: sql`workflows`, message: 'deleteWorkflow', idMember: 'workflowId' },
} as const;

export type Queued = keyof typeof tables;

/**
 * Unfinished ones are marked, and Temporal is told through the outbox; execution makes them `deleted`. Finished ones that
 * were kept just leave the queue: a terminal state never changes. Repeats are harmless, and are told again: what the
 * first one met may be gone.
 * @returns how many of the ids were this owner's, and in the queue
 */
export async function markDeleted(
  db: Database | Transaction,
  what: Queued,
  owner: string,
  ids: number[],
): Promise<number> {
  const { name, message, idMember } = tables[what];
  const [row] = await db.execute<{ count: number }>(sql`
    with found as (
      select id, temporal_id, status in ('pending', 'running') as is_unfinished, delete_requested_at is null as is_new
      from ${name} where owner = ${owner} and in_queue
        and id in (select jsonb_array_elements_text(${JSON.stringify(ids)}::jsonb)::int)
      order by id for update
    ), marked as (
      update ${name} as it set delete_requested_at = coalesce(it.delete_requested_at, now()) from found
      where it.id = found.id and is_unfinished
      returning it.id, it.temporal_id, is_new
    ), left_queue as (
      update ${name} as it set in_queue = false, leave_in_queue = false from found
      where it.id = found.id and not is_unfinished
    ), told as (
      insert into outbox (kind, target, payload)
      select ${message}, temporal_id, jsonb_build_object(${idMember}::text, id) from marked
      where temporal_id not in (select target from outbox where kind = ${message})
    ), event as (
      insert into job_events (job_id, kind) select id, 'deleteRequested' from marked where is_new and ${what === 'job'}
    )
    select count(*)::int as count from found`);
  return row?.count ?? 0;
}

/**
 * Ends the retention by leaveInQueue; what is unfinished will leave when it ends.
 * @returns false when it was no longer in the queue
 */
export async function removeFromQueue(db: Database, what: Queued, owner: string, id: number): Promise<boolean> {
  const rows = await db.execute(sql`
    update ${tables[what].name} set leave_in_queue = false, in_queue = status in ('pending', 'running')
    where id = ${id} and owner = ${owner} and in_queue
    returning id`);
  return rows.length > 0;
}
