/** Reading workflows for lists, describe and the graph. Progress is read from counters, never counted from jobs. */
import type { IdRanges } from '../domain/id-ranges.ts';
import type { JobStatus } from '../domain/status.ts';
import type { Database, Sql } from './connection.ts';
import { notificationFates, type NotificationFate } from './notifications.ts';
import {
  cut,
  epoch,
  idRanges,
  light,
  matching,
  ordered,
  stored,
  withHeavyDocuments,
  type Fragment,
  type ListFilter,
  type ListPage,
  type Page,
} from './list-pages.ts';

/** How many of the instances are in which state; the others still wait. */
export interface StepCounts {
  done: number;
  failed: number;
  /** Submitted: pending or running. */
  queued: number;
  /** They will never run: something they depend on did not succeed, or the workflow was deleted. */
  skipped: number;
  /** A partial rerun did not select them, and has no result of theirs to keep. */
  leftOut: number;
}

export interface ListedWorkflow {
  id: number;
  name: string;
  status: JobStatus;
  statusReason: string | null;
  total: number;
  counts: StepCounts;
  /** Of a deleted one: how many jobs ended so. */
  deleted: number | null;
  /** Seconds since the epoch. */
  createdAt: number;
  startedAt: number | null;
  endedAt: number | null;
  deleteRequestedAt: number | null;
}

export interface DetailedWorkflow extends ListedWorkflow {
  statusDetail: string | null;
  labels: Record<string, string>;
  submitted: Record<string, unknown>;
  rerunOf: number | null;
  notifications: NotificationFate[];
}

export interface WorkflowStep {
  step: number;
  /** Of the job in the description. */
  name: string;
  firstJobId: number;
  /** Of instances; 1 where no factory makes it. */
  count: number;
  parents: number[];
  counts: StepCounts;
}

export async function listWorkflows(db: Database, filter: ListFilter, page: ListPage): Promise<Page<ListedWorkflow>> {
  const sql = db.$client;
  const rows = await sql<ListedWorkflow[]>`
    select ${listColumns(sql)} from workflows where ${matching(sql, filter)} ${cut(sql, page)}`;
  return { rows, next: rows.length < page.limit ? undefined : rows.at(-1)?.id };
}

export async function listDetailedWorkflows(
  db: Database,
  filter: ListFilter,
  page: ListPage,
): Promise<Page<DetailedWorkflow>> {
  const sql = db.$client;
  const weight = sql`${stored(sql, 'submitted')} + ${stored(sql, 'labels')}`;
  type Row = Omit<DetailedWorkflow, 'notifications'> & { weight: number };
  const found = await sql<Row[]>`
    select ${listColumns(sql)}, status_detail as "statusDetail", rerun_of as "rerunOf", weight,
      ${light(sql, 'labels', page)}, ${light(sql, 'submitted', page)}
    from (select *, ${weight} as weight from workflows where ${matching(sql, filter)} ${cut(sql, page)}) as workflows
    ${ordered(sql, page)}`;
  const readDocuments = (ids: number[]) => sql<Pick<Row, 'id' | 'labels' | 'submitted'>[]>`
    select id, labels, submitted from workflows where id = any(${ids}::int[])`;
  const { rows, next } = await withHeavyDocuments(found, page, readDocuments, (row, documents) => {
    return { ...row, ...documents };
  });
  const notifying = rows.filter(({ submitted }) => 'notifications' in submitted);
  const fates = await notificationFates(
    sql,
    notifying.map(({ id }) => id),
  );
  const detailed = rows.map((row) => ({
    ...row,
    notifications: fates.get(row.id) ?? [],
  }));
  return { rows: detailed, next };
}

/** Of the workflows a filter is about, those after `after` that have not ended. */
export function unfinishedWorkflows({ $client: sql }: Database, filter: ListFilter, after: number): Promise<IdRanges> {
  return idRanges(sql, 'workflows', sql`${matching(sql, { ...filter, scope: 'unfinished' })} and id > ${after}`);
}

export interface WorkflowHandle {
  id: number;
  owner: string;
  name: string;
  status: JobStatus;
  total: number;
  /** The job that submitted it, if one did. */
  submittedBy: number | null;
}

/** Whoever owns it: the caller decides what that means. */
export async function findWorkflowHandle(db: Database, id: number): Promise<WorkflowHandle | undefined> {
  const [row] = await db.$client<WorkflowHandle[]>`
    select id, owner, name, status, total, submitted_by as "submittedBy" from workflows where id = ${id}`;
  return row;
}

/** In the order of the description. */
export async function listSteps(db: Database, workflowId: number): Promise<WorkflowStep[]> {
  const sql = db.$client;
  return sql<WorkflowStep[]>`
    select step, name, first_job_id as "firstJobId", count, parents, ${counts(sql)} as counts
    from workflow_steps where workflow_id = ${workflowId} order by step`;
}

const listColumns = (sql: Sql): Fragment => sql`
  id, name, status, status_reason as "statusReason", total, ${counts(sql)} as counts, deleted,
  ${epoch(sql, 'created_at')} as "createdAt", ${epoch(sql, 'started_at')} as "startedAt",
  ${epoch(sql, 'ended_at')} as "endedAt", ${epoch(sql, 'delete_requested_at')} as "deleteRequestedAt"`;

const counts = (sql: Sql): Fragment => sql`
  jsonb_build_object('done', done, 'failed', failed, 'queued', queued, 'skipped', skipped, 'leftOut', left_out)`;

/** Of all workflows of an owner that are stored, ended ones too. */
export async function sumOfJobs(db: Database, owner: string): Promise<number> {
  const [row] = await db.$client<{ jobs: number }[]>`
    select coalesce(sum(total), 0)::float8 as jobs from workflows where owner = ${owner}`;
  return row!.jobs;
}
