/**
 * Jobs of workflows that end without having run, many in one statement. Rows are locked in the order jobs, queue, steps,
 * workflow.
 */
import { sql, type SQL } from 'drizzle-orm';
import { reasons } from '../domain/reasons.ts';
import type { TerminalStatus } from '../domain/status.ts';
import type { JobsToClose } from '../domain/workflow-messages.ts';
import type { Database, Transaction } from './connection.ts';
import { lastRefusal } from './execution.ts';
import { givingBack } from './placements.ts';

/** Absent owner: whoever owns them. */
interface JobsOf {
  ids: number[];
  owner?: string;
}

/** How jobs end that were not run. */
interface Unrun {
  status: TerminalStatus;
  reason: string | null;
  detail: string | null;
}

/** End up to `limit` jobs without running them. Returns whether there may be more. */
export async function closeJobs(db: Database, close: JobsToClose, limit: number): Promise<boolean> {
  const { workflowId } = close;
  const ended = await db.transaction((tx) =>
    endJobs(tx, sql`workflow_id = ${workflowId} and ${closable(close)}`, endingOf(close), limit),
  );
  return ended >= limit;
}

/**
 * End jobs of workflows that nothing runs yet, now and without an execution; their shard, where one waits for them, is
 * told. Others among `ids` are left alone.
 * @returns how many were ended
 */
export async function endUnbegun(tx: Transaction, { ids, owner }: JobsOf, how: Unrun): Promise<number> {
  if (ids.length === 0) return 0;
  const unbegun = sql`id in (select jsonb_array_elements_text(${JSON.stringify(ids)}::jsonb)::int)
    and workflow_id is not null and status = 'pending' and attempt = 0
    and (${owner ?? null}::text is null or owner = ${owner ?? null}::text)`;
  return endJobs(tx, unbegun, how, ids.length);
}

/**
 * Everything the ended jobs held goes back, and the counters of their workflows go forward. What they hold is read when
 * their rows are locked: a claim or a turn in the queue that somebody gave them meanwhile counts too.
 */
async function endJobs(tx: Transaction, which: SQL, how: Unrun, limit: number): Promise<number> {
  const ended = await tx.execute<EndedJob>(sql`
    with chosen as (
      select id from jobs where ${which} order by id limit ${limit} for update
    )
    update jobs set status = ${how.status}, status_reason = ${how.reason}, status_detail = coalesce(${how.detail}::text, ${lastRefusal(how.reason)}),
      ended_at = now(), in_queue = false, succeeded = false
    from chosen where jobs.id = chosen.id and status in ('pending', 'running')
    returning jobs.id, attempt, workflow_id, step`);
  if (ended.length === 0) return 0;
  const counted = await tx.execute<{ workflowId: number; step: number; count: number }>(sql`
    with ended as (
      select * from jsonb_to_recordset(${JSON.stringify(ended)}::jsonb)
        as (id int, attempt int, workflow_id int, step int)
    ), gone as (
      delete from placements p using ended where p.job_id = ended.id
      returning p.machine_id, p.cpus, p.memory, p.disk
    ), ${givingBack}, over as (
      update attempts a set ended_at = now(), outcome = 'deleted' from ended
      where a.job_id = ended.id and a.attempt = ended.attempt and a.ended_at is null
    ), asked as (
      delete from placement_requests r using ended where r.job_id = ended.id
      returning r.job_id, r.temporal_id, r.is_of_shard
    ), told as (
      insert into outbox (kind, target, payload)
      select 'shardNews', temporal_id, jsonb_build_object('ended', jsonb_agg(job_id))
      from asked where is_of_shard group by temporal_id
    ), recorded as (
      insert into job_events (job_id, attempt, kind, data)
      select id, attempt, ${how.status}, jsonb_build_object('reason', ${how.reason}::text) from ended order by id
    )
    select workflow_id as "workflowId", step, count(*)::int as count from ended
    group by workflow_id, step order by workflow_id, step`);
  for (const workflowId of new Set(counted.map((each) => each.workflowId))) {
    await count(
      tx,
      workflowId,
      counted.filter((each) => each.workflowId === workflowId),
    );
  }
  return ended.length;
}

/** As the database tells it, and takes it again. */
interface EndedJob extends Record<string, unknown> {
  id: number;
  attempt: number;
  workflow_id: number;
  step: number;
}

/** Nothing of a deleted workflow gets a place any more: the cancellation of what waits is on its way. */
export async function dequeueJobs(db: Database, workflowId: number): Promise<void> {
  await db.$client`
    delete from placement_requests using workflows w
    where w.id = ${workflowId} and job_id >= w.first_job_id and job_id < w.first_job_id + w.total`;
}

function endingOf(close: JobsToClose): Unrun {
  if (close.which === 'skipped') return { status: 'failed', reason: reasons.dependencyFailed, detail: null };
  if (close.which === 'leftOver' && !close.isDeleted) {
    return { status: 'failed', reason: null, detail: 'the execution of the job ended without a result' };
  }
  return { status: 'deleted', reason: reasons.deletedWithWorkflow, detail: null };
}

function closable(close: JobsToClose): SQL {
  switch (close.which) {
    case 'skipped': {
      const steps = JSON.stringify('steps' in close ? close.steps : close.nodes);
      return sql`status = 'pending' and step in (select jsonb_array_elements_text(${steps}::jsonb)::int)`;
    }
    case 'neverStarted':
      return sql`status = 'pending' and attempt = 0`;
    case 'leftOver':
      return sql`status in ('pending', 'running')`;
  }
}

/** Of a released step they were queued and have failed; of any other they waited and never will run. */
async function count(tx: Transaction, workflowId: number, ended: { step: number; count: number }[]): Promise<void> {
  await tx.execute(sql`
    with locked as (
      select n.step, n.is_released, ended.count from workflow_steps n
      join jsonb_to_recordset(${JSON.stringify(ended)}::jsonb) as ended (step int, count int) on ended.step = n.step
      where n.workflow_id = ${workflowId} order by n.step for update of n
    ), counted as (
      update workflow_steps n set
        queued = queued - case when locked.is_released then locked.count else 0 end,
        failed = failed + case when locked.is_released then locked.count else 0 end,
        skipped = skipped + case when locked.is_released then 0 else locked.count end
      from locked where n.workflow_id = ${workflowId} and n.step = locked.step
      returning locked.is_released, locked.count as jobs
    ), sums as (
      select coalesce(sum(jobs) filter (where is_released), 0)::int as queued,
        coalesce(sum(jobs) filter (where not is_released), 0)::int as skipped from counted
    )
    update workflows set queued = workflows.queued - sums.queued, failed = failed + sums.queued,
      skipped = workflows.skipped + sums.skipped
    from sums where id = ${workflowId}`);
}
