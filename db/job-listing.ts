/**
 * Reading jobs for lists and describe. An instance of a factory has no document of its own: it shows its template's,
 * which is looked up for the rows of a page only, and read once for all of them when it is heavy.
 */
import type { JobExecution } from '../domain/execution.ts';
import type { IdRanges } from '../domain/id-ranges.ts';
import type { Parameters } from '../domain/parameters.ts';
import type { JobStatus } from '../domain/status.ts';
import type { Database, Sql } from './connection.ts';
import { groupedBy } from './grouped.ts';
import { notificationFates, type NotificationFate } from './notifications.ts';
import {
  cut,
  endingBefore,
  epoch,
  idRanges,
  light,
  lightWeight,
  matching,
  ordered,
  stored,
  withHeavyDocuments,
  type Fragment,
  type ListFilter,
  type ListPage,
  type Page,
} from './list-pages.ts';

export interface JobFilter extends ListFilter {
  /** Only jobs of this workflow; `name` may be a full name or the one in the description. */
  workflowId?: number;
  /** Only jobs that ended in success, or without. */
  succeeded?: boolean;
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

export async function listJobs(db: Database, filter: JobFilter, page: ListPage): Promise<Page<ListedJob>> {
  const sql = db.$client;
  const weight = sql`${stored(sql, 'submitted')} + ${stored(sql, 'parameters')}`;
  const found = await sql<(ListedJob & FromPage)[]>`
    select ${listColumns(sql)}, ${light(sql, 'parameters', page)}, ${lightDocument(sql, page)}->'tasks' as tasks
    from ${weighedJobs(sql, filter, page, weight)} as jobs ${ordered(sql, page)}`;
  type Documents = Pick<ListedJob, 'id' | 'parameters' | 'tasks'>;
  const readDocuments = (ids: number[]) => sql<Documents[]>`
    select id, parameters, submitted->'tasks' as tasks from jobs where id = any(${ids}::int[])`;
  const rows = await withHeavyDocuments(found, page, readDocuments, (row, { parameters, tasks }) => {
    return { ...row, parameters, tasks: tasks ?? row.tasks };
  });
  return withHeavyTemplate(sql, rows, 'tasks', sql`submitted->'tasks'`);
}

export async function listDetailedJobs(db: Database, filter: JobFilter, page: ListPage): Promise<Page<DetailedJob>> {
  const sql = db.$client;
  const columns = ['parameters', 'labels', 'execution'];
  const weight = [...columns, 'submitted'].reduce<Fragment>(
    (all, column) => sql`${all} + ${stored(sql, column)}`,
    sql`${outputBytes} * (select count(*)::int from outputs where outputs.job_id = jobs.id)`,
  );
  type Row = Omit<DetailedJob, 'tasks' | 'outputs' | 'attempts' | 'notifications'> & FromPage;
  const found = await sql<Row[]>`
    select ${listColumns(sql)}, ${statusDetail(sql)} as "statusDetail", attempt, ${light(sql, 'parameters', page)},
      ${light(sql, 'labels', page)}, ${light(sql, 'execution', page)}, ${lightDocument(sql, page)} as submitted
    from ${weighedJobs(sql, filter, page, weight)} as jobs ${ordered(sql, page)}`;
  type Documents = Pick<Row, 'id' | 'parameters' | 'labels' | 'execution' | 'submitted'>;
  const readDocuments = (ids: number[]) => sql<Documents[]>`
    select id, parameters, labels, execution, submitted from jobs where id = any(${ids}::int[])`;
  const own = await withHeavyDocuments(found, page, readDocuments, (row, documents) => {
    return { ...row, ...documents, submitted: documents.submitted ?? row.submitted };
  });
  const { rows, next } = await withHeavyTemplate(sql, own, 'submitted', sql`submitted`);
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
  const detailed = rows.map((row) => ({
    ...row,
    tasks: row.submitted['tasks'],
    outputs: outputs.get(row.id) ?? [],
    attempts: attempts.get(row.id) ?? [],
    notifications: fates.get(row.id) ?? [],
  }));
  return { rows: detailed, next };
}

/** Of the jobs a filter is about, those after `after` that have not ended. */
export function unfinishedJobs({ $client: sql }: Database, filter: JobFilter, after: number): Promise<IdRanges> {
  return idRanges(sql, 'jobs', sql`${selected(sql, { ...filter, scope: 'unfinished' })} and id > ${after}`);
}

/** What a published output takes in an answer, most of it the signed URL. */
const outputBytes = 700;

interface FromPage {
  /** Of what it has itself: not of a template. */
  weight: number;
  /** Null outside of workflows. */
  step: number | null;
}

const weighedJobs = (sql: Sql, filter: JobFilter, page: ListPage, weight: Fragment): Fragment => sql`
  (select *, ${weight} as weight from jobs where ${selected(sql, filter)} ${cut(sql, page)})`;

/** A subquery and not a join: whatever the planner thinks of the tables, only the rows of the page are looked up. */
const lightDocument = (sql: Sql, page: ListPage): Fragment => sql`
  coalesce(case when weight <= ${lightWeight(page)} then submitted end, (
    select case when ${stored(sql, 'steps.submitted')} <= ${lightWeight(page)} then steps.submitted end
    from workflow_steps as steps where steps.workflow_id = jobs.workflow_id and steps.step = jobs.step
  ))`;

/** A page has one heavy template at most, which is read once for all its instances: the page ends before the next. */
async function withHeavyTemplate<
  Key extends string,
  Row extends FromPage & { id: number; workflowId: number | null } & Record<Key, unknown>,
>(sql: Sql, page: Page<Row>, key: Key, column: Fragment): Promise<Page<Row>> {
  const isWithout = (row: Row) => row.workflowId !== null && row[key] === null;
  const first = page.rows.find(isWithout);
  if (!first) return page;
  const { workflowId, step } = first;
  const isOfAnother = (row: Row) => isWithout(row) && (row.workflowId !== workflowId || row.step !== step);
  const { rows, next } = endingBefore(page.rows.findIndex(isOfAnother), page);
  const [template] = await sql<{ document: Row[Key] }[]>`
    select ${column} as document from workflow_steps where workflow_id = ${workflowId} and step = ${step}`;
  const complete = rows.flatMap((row) => {
    if (!isWithout(row)) return [row];
    // Without a template the workflow was removed since then, and its jobs before it.
    return template ? [{ ...row, [key]: template.document }] : [];
  });
  return { rows: complete, next };
}

const listColumns = (sql: Sql): Fragment => sql`
  id, name, workflow_id as "workflowId", status, status_reason as "statusReason",
  ${epoch(sql, 'created_at')} as "createdAt", ${epoch(sql, 'started_at')} as "startedAt",
  ${epoch(sql, 'ended_at')} as "endedAt", ${epoch(sql, 'delete_requested_at')} as "deleteRequestedAt", step, weight`;

/** Of what waits, also what the last look at the queue found in its way. */
const statusDetail = (sql: Sql): Fragment => sql`
  case when status <> 'pending' then status_detail else nullif(concat_ws('; ', status_detail, (
    select refusal from placement_requests as asked where asked.job_id = jobs.id and asked.attempt = greatest(jobs.attempt, 1)
  )), '') end`;

/** In a workflow a name may also be the one that the description gives to several jobs. */
function selected(sql: Sql, { workflowId, name, succeeded, ...filter }: JobFilter): Fragment {
  const isAsked = succeeded === undefined ? sql`` : sql`and succeeded = ${succeeded}`;
  if (workflowId === undefined) {
    return sql`${matching(sql, { ...filter, ...(name === undefined ? {} : { name }) })} ${isAsked}`;
  }
  const isNamed = sql`
    and (name = ${name ?? null} or step in (
      select steps.step from workflow_steps as steps where steps.workflow_id = ${workflowId} and steps.name = ${name ?? null}
    ))`;
  return sql`workflow_id = ${workflowId} ${name === undefined ? sql`` : isNamed} and ${matching(sql, filter)} ${isAsked}`;
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
  return groupedBy(rows, ({ jobId }) => jobId);
}

async function readAttempts(sql: Sql, jobs: { id: number }[]): Promise<Map<number, JobAttempt[]>> {
  if (jobs.length === 0) return new Map();
  const rows = await sql<JobAttempt[]>`
    select job_id as "jobId", attempt, attempts.site, machines.name as machine, ${epoch(sql, 'started_at')} as "startedAt",
      ${epoch(sql, 'ended_at')} as "endedAt", outcome, detail
    from attempts left join machines on machines.id = attempts.machine_id
    where job_id = any(${jobs.map((job) => job.id)}::int[])
    order by job_id, attempt`;
  return groupedBy(rows, ({ jobId }) => jobId);
}
