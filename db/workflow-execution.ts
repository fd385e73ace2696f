/**
 * What execution writes about a workflow. Counters of a workflow and its steps change with the jobs they count; rows
 * are locked in the order jobs, steps, workflow.
 */
import { sql } from 'drizzle-orm';
import { reasons } from '../domain/reasons.ts';
import type { JobStatus, TerminalStatus } from '../domain/status.ts';
import type { DagPlan } from '../domain/workflow-messages.ts';
import type { Database, Sql, Transaction } from './connection.ts';
import { seenByWorkflow } from './workflow-selection.ts';

/** Undefined: there is no such workflow. */
export async function findDag(
  db: Database,
  workflowId: number,
): Promise<{ status: JobStatus; isDeleted: boolean; plan: DagPlan } | undefined> {
  const client = db.$client;
  const [workflow] = await client<{ status: JobStatus; isExpanded: boolean; isDeleted: boolean; owner: string }[]>`
    select status, is_expanded as "isExpanded", delete_requested_at is not null as "isDeleted", owner
    from workflows where id = ${workflowId}`;
  if (!workflow) return undefined;
  const { status, isExpanded, isDeleted, owner } = workflow;
  const steps = await client<DagPlan['steps']>`
    select left(name, 100) as name, first_job_id as "firstJobId", count, parents, done + left_out = count as "isDone"
    from workflow_steps where workflow_id = ${workflowId} order by step`;
  return { status, isDeleted, plan: { workflowId, owner, isExpanded, steps: [...steps] } };
}

/** The jobs of these steps may run from now on. Repeats are harmless: a step is released once. */
export async function releaseSteps(db: Database, workflowId: number, steps: number[]): Promise<void> {
  await db.$client`
    with released as (
      update workflow_steps set is_released = true, queued = count - done - failed - skipped - left_out
      where workflow_id = ${workflowId} and step = any(${steps}::int[]) and not is_released
      returning queued
    )
    update workflows set queued = queued + (select coalesce(sum(queued), 0)::int from released),
      status = 'running', started_at = coalesce(started_at, now())
    where id = ${workflowId} and status in ('pending', 'running')`;
}

export interface ShardJob {
  id: number;
  status: JobStatus;
  /** Null: a rerun left it out. */
  succeeded: boolean | null;
  /** 0: nothing runs it yet. */
  attempt: number;
}

/** The jobs of a range, locked: nobody ends or deletes them before the transaction does. */
export async function lockRange(tx: Transaction, range: { firstJobId: number; count: number }): Promise<ShardJob[]> {
  const rows = await tx.execute(sql`
    select id, status, succeeded, attempt from jobs
    where id >= ${range.firstJobId} and id < ${range.firstJobId + range.count} order by id for update`);
  return rows as unknown as ShardJob[];
}

const wasOrWere = (sql: Sql, count: string) => sql`case when ${sql(count)} = 1 then ' was' else ' were' end`;

const mostNames = 3;

/** In parentheses, and not all where there are many; nothing where all of them were cancelled. */
const namesOfFailed = (sql: Sql, workflowId: number) => sql`
  coalesce((
    select ' (' || string_agg(name, ', ' order by id) || case when failed > ${mostNames} then ', ...' else '' end || ')'
    from (
      select id, name from jobs where workflow_id = ${workflowId} and ${seenByWorkflow(sql, 'jobs')} in ('failed', 'killed')
      order by id limit ${mostNames}
    ) as first
  ), '')`;

/** Undefined while a job has no terminal state: nothing is written then. */
export async function endWorkflow(
  db: Database,
  workflowId: number,
  isDeleted: boolean,
): Promise<TerminalStatus | undefined> {
  const client = db.$client;
  const [open] = await client`
    select 1 from jobs where workflow_id = ${workflowId} and status in ('pending', 'running') limit 1`;
  if (open) return undefined;
  const [row] = await client<{ status: TerminalStatus }[]>`
    with ended as (
      update workflows set ended_at = now(), in_queue = leave_in_queue,
        started_at = case when ${isDeleted} then started_at else coalesce(started_at, now()) end,
        deleted = case when ${isDeleted} then (
          select count(*)::int from jobs where jobs.workflow_id = ${workflowId} and jobs.status = 'deleted'
        ) end,
        status = case when ${isDeleted} then 'deleted' when failed + skipped > 0 then 'failed' else 'completed' end,
        status_reason = case when ${isDeleted} then ${reasons.workflowDeletedByUser}::text end,
        status_detail = case when not ${isDeleted} then nullif(concat_ws(', ',
          case when failed + skipped > 0 then failed || ' of ' || total || ' jobs failed' || ${namesOfFailed(client, workflowId)} end,
          case when skipped > 0 then skipped || ${wasOrWere(client, 'skipped')} || ' not run' end,
          case when left_out > 0 then left_out || ${wasOrWere(client, 'left_out')} || ' left out' end
        ), '') end
      where id = ${workflowId} and status in ('pending', 'running') returning id, status, notification_count
    ), announced as (
      insert into outbox (kind, target, payload)
      select 'notify', 'notification-' || id || '-' || position,
        jsonb_build_object('about', 'workflow', 'id', id, 'position', position)
      from ended, generate_series(0, notification_count - 1) as position
    )
    select status from ended
    union all
    select status from workflows where id = ${workflowId} and not exists (select 1 from ended)`;
  return row!.status;
}
