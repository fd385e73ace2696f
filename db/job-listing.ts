/**
 * Reading jobs for lists and describe. An instance of a factory has no document of its own: it shows its template's,
 * which is looked up for the rows of a page only.
 */
import type { JobExecution } from '../domain/execution.ts';
import type { Parameters } from '../domain/instance.ts';
import type { JobStatus } from '../domain/status.ts';
import type { Database, Sql } from './connection.ts';
import { notificationFates, type NotificationFate } from './notifications.ts';
import { epoch, matching, type Fragment, type ListFilter, type ListPage } from './list-pages.ts';

export interface JobFilter extends ListFilter {
  /** Only jobs of this workflow; `name` may be a full name or the one in the description. */
  workflowId?: number;
}

export interface ListedJob {
  id: number;
  name: string;
  /** Null: not part of a workflow. */
  workflowId: number | null;
  /** Of a factory's instance, maybe none; null for any other job. */
  parameters: Parameters | null;
  status: JobStatus;
  statusReason: string | null;
  /** As submitted: nothing is substituted. */
  tasks: unknown;
  /** Seconds since the epoch. */
  createdAt: number;
  startedAt: number | null;
  endedAt: number | null;
  deleteRequestedAt: number | null;
}

export interface DetailedJob extends ListedJob {
  statusDetail: string | null;
  attempt: number;
  labels: Record<string, string>;
  submitted: Record<string, unknown>;
  execution: JobExecution;
  outputs: JobOutput[];
  /** Empty when there was only one. */
  attempts: JobAttempt[];
  notifications: NotificationFate[];
}

export interface JobOutput {
  jobId: number;
  kind: 'file' | 'directory';
  /** With parameters put in. */
  name: string;
  key: string;
  /** Null: the job has asked for a URL to put it itself; the store knows whether it did. */
  size: number | null;
}

export interface JobAttempt {
  jobId: number;
  attempt: number;
  site: string;
  machine: string | null;
  startedAt: number;
  endedAt: number | null;
  outcome: string | null;
  detail: string | null;
}

export async function listJobs(db: Database, filter: JobFilter, page: ListPage): Promise<ListedJob[]> {
  const sql = db.$client;
  return sql<ListedJob[]>`select ${listColumns(sql)} from jobs where ${selected(sql, filter, page)}`;
}

export async function listDetailedJobs(db: Database, filter: JobFilter, page: ListPage): Promise<DetailedJob[]> {
  const sql = db.$client;
  type Row = Omit<DetailedJob, 'outputs' | 'attempts' | 'notifications'>;
  const rows = await sql<Row[]>`
    select ${listColumns(sql)}, ${statusDetail(sql)} as "statusDetail", attempt, labels, ${submitted(sql)} as submitted, execution
    from jobs where ${selected(sql, filter, page)}`;
  const wantOutputs = rows.filter((row) => asksForOutputs(row.submitted));
  const repeated = rows.filter((row) => row.attempt > 1);
  const notifying = rows.filter((row) => 'notifications' in row.submitted);
  const [outputs, attempts, fates] = await Promise.all([
    readOutputs(sql, wantOutputs),
    readAttempts(sql, repeated),
    notificationFates(
      sql,
      notifying.map(({ id }) => id),
    ),
  ]);
  return rows.map((row) => ({
    ...row,
    outputs: outputs.get(row.id) ?? [],
    attempts: attempts.get(row.id) ?? [],
    notifications: fates.filter(({ subjectId }) => subjectId === row.id),
  }));
}

const listColumns = (sql: Sql): Fragment => sql`
  id, name, workflow_id as "workflowId", parameters, status, status_reason as "statusReason",
  ${submitted(sql)}->'tasks' as tasks,
  ${epoch(sql, 'created_at')} as "createdAt", ${epoch(sql, 'started_at')} as "startedAt",
  ${epoch(sql, 'ended_at')} as "endedAt", ${epoch(sql, 'delete_requested_at')} as "deleteRequestedAt"`;

/** Of what waits, also what the last look at the queue found in its way. */
const statusDetail = (sql: Sql): Fragment => sql`
  case when status <> 'pending' then status_detail else nullif(concat_ws('; ', status_detail, (
    select refusal from placement_requests as asked where asked.job_id = jobs.id and asked.attempt = greatest(jobs.attempt, 1)
  )), '') end`;

/** A subquery and not a join: whatever the planner thinks of the tables, only the rows of the page are looked up. */
const submitted = (sql: Sql): Fragment => sql`
  coalesce(submitted, (
    select nodes.submitted from workflow_nodes as nodes where nodes.workflow_id = jobs.workflow_id and nodes.node = jobs.node
  ))`;

/** In a workflow a name may also be the one that the description gives to several jobs. */
function selected(sql: Sql, { workflowId, name, ...filter }: JobFilter, page: ListPage): Fragment {
  if (workflowId === undefined) return matching(sql, { ...filter, ...(name === undefined ? {} : { name }) }, page);
  const isNamed = sql`
    and (name = ${name ?? null} or node in (
      select nodes.node from workflow_nodes as nodes where nodes.workflow_id = ${workflowId} and nodes.name = ${name ?? null}
    ))`;
  return sql`workflow_id = ${workflowId} ${name === undefined ? sql`` : isNamed} and ${matching(sql, filter, page)}`;
}

function asksForOutputs(submitted: Record<string, unknown>): boolean {
  return 'outputFiles' in submitted || 'outputDirs' in submitted;
}

/** Only what the current attempt has published counts. */
async function readOutputs(sql: Sql, jobs: { id: number }[]): Promise<Map<number, JobOutput[]>> {
  if (jobs.length === 0) return new Map();
  const rows = await sql<JobOutput[]>`
    select outputs.job_id as "jobId", outputs.kind, outputs.name, outputs.object_key as key, outputs.size::float8 as size
    from outputs join jobs on jobs.id = outputs.job_id and jobs.attempt = outputs.attempt
    where outputs.job_id = any(${jobs.map((job) => job.id)}::int[])`;
  return byJob(rows);
}

async function readAttempts(sql: Sql, jobs: { id: number }[]): Promise<Map<number, JobAttempt[]>> {
  if (jobs.length === 0) return new Map();
  const rows = await sql<JobAttempt[]>`
    select job_id as "jobId", attempt, attempts.site, machines.name as machine, ${epoch(sql, 'started_at')} as "startedAt",
      ${epoch(sql, 'ended_at')} as "endedAt", outcome, detail
    from attempts left join machines on machines.id = attempts.machine_id
    where job_id = any(${jobs.map((job) => job.id)}::int[])
    order by job_id, attempt`;
  return byJob(rows);
}

function byJob<T extends { jobId: number }>(rows: readonly T[]): Map<number, T[]> {
  const groups = new Map<number, T[]>();
  for (const row of rows) groups.set(row.jobId, [...(groups.get(row.jobId) ?? []), row]);
  return groups;
}
