/**
 * What execution writes about a job. Each write is guarded: only the current attempt changes a job, and a terminal
 * state is never left.
 *
 * Rows are locked in one order everywhere: jobs, the placement lock or the queue, machines, steps, their workflow. The
 * scheduler begins with the lock, so it takes only jobs that nobody else has locked. Where two transactions still cross,
 * PostgreSQL ends one of them, and it is tried again.
 */
import { and, eq, inArray, isNull, like, sql, type SQL } from 'drizzle-orm';
import type { JobDescription } from '../domain/description.ts';
import type { JobExecution, TaskExecution } from '../domain/execution.ts';
import { instantiate } from '../domain/instance.ts';
import type { JobEnding } from '../domain/job-messages.ts';
import type { Capacity } from '../domain/placement.ts';
import { reasons } from '../domain/reasons.ts';
import type { JobStatus } from '../domain/status.ts';
import type { Database, Transaction } from './connection.ts';
import { release } from './placements.ts';
import { attempts, jobEvents, jobs, machines, placements, workflowSteps, type outputs } from './schema.ts';

const unfinished: JobStatus[] = ['pending', 'running'];

type StoredJob = typeof jobs.$inferSelect;
/** With the description that runs: in a workflow the step's, everything substituted. */
export type JobRow = StoredJob & { description: JobDescription };

export async function lockJob(tx: Transaction, jobId: number): Promise<JobRow | undefined> {
  const [row] = await tx
    .select({ job: jobs, template: workflowSteps.description })
    .from(jobs)
    .leftJoin(workflowSteps, ofStep)
    .where(eq(jobs.id, jobId))
    .for('update', { of: jobs });
  return row && described(row.job, row.template);
}

export async function findJob(db: Database | Transaction, jobId: number): Promise<JobRow | undefined> {
  const [row] = await db
    .select({ job: jobs, template: workflowSteps.description })
    .from(jobs)
    .leftJoin(workflowSteps, ofStep)
    .where(eq(jobs.id, jobId))
    .limit(1);
  return row && described(row.job, row.template);
}

const ofStep = and(eq(workflowSteps.workflowId, jobs.workflowId), eq(workflowSteps.step, jobs.step));

function described(job: StoredJob, template: JobDescription | null): JobRow {
  const description = job.description ?? template;
  if (!description) throw new Error(`job ${job.id} has neither a description nor a step that has one`);
  const facts = {
    jobId: job.id,
    ...(job.workflowId === null ? {} : { workflowId: job.workflowId }),
    ...(job.parameters === null ? {} : { parameters: job.parameters }),
  };
  return { ...job, description: instantiate(description, facts) };
}

/** The first attempt of a job that nobody touched yet; undefined for any other job. */
export async function beginFirstAttempt(tx: Transaction, jobId: number): Promise<JobRow | undefined> {
  const untouched = and(
    eq(jobs.id, jobId),
    eq(jobs.attempt, 0),
    eq(jobs.status, 'pending'),
    isNull(jobs.deleteRequestedAt),
  );
  const [job] = await tx.update(jobs).set({ attempt: 1 }).where(untouched).returning();
  if (!job || job.workflowId === null) return job && described(job, null);
  const [step] = await tx
    .select({ template: workflowSteps.description })
    .from(workflowSteps)
    .where(and(eq(workflowSteps.workflowId, job.workflowId), eq(workflowSteps.step, job.step!)));
  return described(job, step?.template ?? null);
}

/** Why a waiting job waits; told in lists. */
export async function recordWaiting(
  tx: Transaction,
  jobId: number,
  statusReason: string,
  statusDetail: string | null,
): Promise<void> {
  await tx
    .update(jobs)
    .set({ statusReason, statusDetail })
    .where(and(eq(jobs.id, jobId), eq(jobs.status, 'pending')));
}

const waitingWords = 'waiting since ';

/** What a run waits for, beginning with those words; null: it waits no more. */
export async function recordWait(
  db: Database,
  ref: { jobId: number; attempt: number },
  words: string | null,
): Promise<void> {
  const isTold = words === null ? [like(jobs.statusDetail, `${waitingWords}%`)] : [];
  await db
    .update(jobs)
    .set({ statusDetail: words })
    .where(and(eq(jobs.id, ref.jobId), eq(jobs.attempt, ref.attempt), inArray(jobs.status, unfinished), ...isTold));
}

/** The same for all jobs that run on a machine which is out of reach, as long as nothing else is told of them. */
export async function recordMachineWait(db: Database, machineId: number, words: string | null): Promise<void> {
  const held = db.select({ id: placements.jobId }).from(placements).where(eq(placements.machineId, machineId));
  const told =
    words === null ? like(jobs.statusDetail, `${waitingWords}% for the machine:%`) : isNull(jobs.statusDetail);
  await db
    .update(jobs)
    .set({ statusDetail: words })
    .where(and(inArray(jobs.id, held), eq(jobs.status, 'running'), told));
}

export interface RunFacts {
  job: JobRow;
  machineId: number;
  site: string;
  machineFacts: (typeof machines.$inferSelect)['facts'];
  size: Capacity;
}

/** The job and its claim; undefined when this attempt is no longer the one that counts. */
export async function currentRun(db: Database, ref: { jobId: number; attempt: number }): Promise<RunFacts | undefined> {
  const [row] = await db
    .select({
      job: jobs,
      template: workflowSteps.description,
      placement: placements,
      site: machines.site,
      machineFacts: machines.facts,
    })
    .from(placements)
    .innerJoin(jobs, eq(jobs.id, placements.jobId))
    .leftJoin(workflowSteps, ofStep)
    .innerJoin(machines, eq(machines.id, placements.machineId))
    .where(
      and(
        eq(placements.jobId, ref.jobId),
        eq(placements.attempt, ref.attempt),
        eq(jobs.attempt, ref.attempt),
        inArray(jobs.status, unfinished),
      ),
    )
    .limit(1);
  if (!row) return undefined;
  const { machineId, cpus, memory, disk } = row.placement;
  return {
    job: described(row.job, row.template),
    machineId,
    site: row.site,
    machineFacts: row.machineFacts,
    size: { cpus, memory, disk },
  };
}

/** The first sign of life of an attempt on its machine. */
export async function markRunning(
  db: Database,
  ref: { jobId: number; attempt: number },
  execution: Omit<JobExecution, 'tasks'>,
  startedAt: Date,
): Promise<void> {
  await db.execute(sql`
    with started as (
      update jobs set status = 'running', started_at = ${startedAt.toISOString()}::timestamptz, ended_at = null, status_reason = null, status_detail = null,
        execution = (execution - 'outputTruncated') || ${JSON.stringify(execution)}::jsonb
      where id = ${ref.jobId} and attempt = ${ref.attempt} and status = 'pending' returning id
    )
    insert into job_events (job_id, attempt, kind, data)
    select id, ${ref.attempt}, 'started', ${JSON.stringify({ site: execution.site })}::jsonb from started`);
}

/** Of what the current attempt wrote there only the beginning is kept. */
export async function recordTruncation(
  db: Database,
  ref: { jobId: number; attempt: number },
  stream: 'stdout' | 'stderr',
): Promise<void> {
  await db.execute(sql`
    update jobs set execution = execution || jsonb_build_object('outputTruncated', coalesce(execution->'outputTruncated', '[]') || to_jsonb(${stream}::text))
    where id = ${ref.jobId} and attempt = ${ref.attempt} and not coalesce(execution->'outputTruncated', '[]') ? ${stream}`);
}

/** Close an attempt that did not end the job. The job waits again; says whether this was still the current attempt. */
export async function endAttempt(
  tx: Transaction,
  ended: { jobId: number; attempt: number; outcome: string; detail: string; retries: number },
): Promise<boolean> {
  const { jobId, attempt, outcome, detail, retries } = ended;
  const told =
    outcome === 'retry'
      ? `attempt ${attempt} failed (${detail}); the job is started again`
      : `attempt ${attempt} was lost (${detail}); the job is started again`;
  const changed = await tx
    .update(jobs)
    .set({
      attempt: attempt + 1,
      status: 'pending',
      endedAt: new Date(),
      statusDetail: told,
      ...(retries > 0 ? { execution: sql`${jobs.execution} || ${JSON.stringify({ retries })}::jsonb` } : {}),
    })
    .where(and(eq(jobs.id, jobId), eq(jobs.attempt, attempt), inArray(jobs.status, unfinished)))
    .returning({ id: jobs.id });
  if (changed.length === 0) return false;
  await tx
    .update(attempts)
    .set({ endedAt: new Date(), outcome, detail })
    .where(and(eq(attempts.jobId, jobId), eq(attempts.attempt, attempt)));
  await tx.insert(jobEvents).values({ jobId, attempt, kind: 'attemptEnded', data: { outcome, detail } });
  return true;
}

/**
 * The one write of a terminal state: with it go back what the job held, and forward the progress of its workflow and
 * the notifications it asked for. Of a job that nobody deleted by itself the reason is that its workflow was, which is
 * what is told then, and not of each job. Undefined where the job has a terminal state already, which it keeps.
 */
export async function endJob(tx: Transaction, ending: JobEnding): Promise<{ statusReason: string | null } | undefined> {
  const execution: JobExecution = {
    tasks: ending.tasks,
    ...(ending.stageInSeconds ? { stageInTime: ending.stageInSeconds } : {}),
    ...(ending.stageOutSeconds ? { stageOutTime: ending.stageOutSeconds } : {}),
    ...(ending.retries > 0 ? { retries: ending.retries } : {}),
    ...peakMemory(ending.tasks),
  };
  const [done, failed] = ending.succeeded ? [1, 0] : [0, 1];
  const [ended] = await tx.execute<{ statusReason: string | null }>(sql`
    with ended as (
      update jobs set status = ${ending.status}, status_detail = coalesce(${ending.statusDetail ?? null}::text, ${lastRefusal(ending.statusReason)}),
        status_reason = case when ${ending.status} = 'deleted' and workflow_id is not null and delete_requested_at is null
          then ${reasons.deletedWithWorkflow} else ${ending.statusReason ?? null}::text end,
        ended_at = ${endOf(ending)}, in_queue = leave_in_queue, execution = execution || ${JSON.stringify(execution)}::jsonb, succeeded = ${ending.succeeded}
      where id = ${ending.jobId} and status in ('pending', 'running') returning id, workflow_id, step, status_reason, notification_count
    ), closed as (
      update attempts set ended_at = now(), outcome = ${ending.status === 'deleted' ? 'deleted' : 'finished'}
      where job_id = ${ending.jobId} and attempt = ${ending.attempt} and ended_at is null and exists (select 1 from ended)
    ), told as (
      insert into job_events (job_id, attempt, kind, data)
      select id, ${ending.attempt}::int, ${ending.status}, ${JSON.stringify({ reason: ending.statusReason })}::jsonb from ended
    ), counted as (
      update workflow_steps n set queued = queued - 1, done = done + ${done}::int, failed = failed + ${failed}::int
      from ended where n.workflow_id = ended.workflow_id and n.step = ended.step returning n.workflow_id, n.notification_count
    ), summed as (
      update workflows w set queued = queued - 1, done = done + ${done}::int, failed = failed + ${failed}::int
      from counted where w.id = counted.workflow_id
    ), announced as (
      insert into outbox (kind, target, payload)
      select 'notify', 'notification-' || id || '-' || position, jsonb_build_object('about', 'job', 'id', id, 'position', position)
      from ended, generate_series(0, coalesce(notification_count, (select notification_count from counted)) - 1) as position
      where status_reason is distinct from ${reasons.deletedWithWorkflow}
    )
    select status_reason as "statusReason" from ended`);
  // A statement of its own, which sees a claim that was given while the one above waited for the job's row.
  await release(tx, ending);
  return ended;
}

/** Who waited too long is told what for: why the last look at the queue found no place. For `update jobs`. */
export const lastRefusal = (reason: string | null | undefined): SQL =>
  reason === reasons.queuedTooLong
    ? sql`(select refusal from placement_requests r where r.job_id = jobs.id and r.attempt = greatest(jobs.attempt, 1))`
    : sql`null`;

/** Clocks of machines may differ from ours: never before the start, never in the future. */
function endOf({ endedAt }: JobEnding): SQL {
  if (endedAt === undefined) return sql`now()`;
  return sql`least(now(), greatest(started_at, to_timestamp(${endedAt}::float8)))`;
}

function peakMemory(tasks: TaskExecution[]): { maxMemoryUsageKB?: number } {
  const peak = Math.max(0, ...tasks.map((task) => task.maxResidentSetSizeKB ?? 0));
  return peak > 0 ? { maxMemoryUsageKB: peak } : {};
}

/** Outputs of an attempt become the job's, if the attempt is still the one that counts. */
export async function publishOutputs(
  db: Database,
  ref: { jobId: number; attempt: number },
  rows: Omit<typeof outputs.$inferInsert, 'jobId' | 'attempt'>[],
): Promise<void> {
  if (rows.length === 0) return;
  await db.transaction(async (tx) => {
    const job = await lockJob(tx, ref.jobId);
    if (!job || job.attempt !== ref.attempt || !unfinished.includes(job.status)) return;
    // Of two under one name the last counts: a statement may touch each row once.
    const last = [...new Map(rows.map((row) => [`${row.kind} ${row.name}`, row])).values()];
    await tx.execute(sql`
      insert into outputs (job_id, attempt, kind, name, object_key, size)
      select ${ref.jobId}::int, ${ref.attempt}::int, kind, name, key, size
      from jsonb_to_recordset(${JSON.stringify(last)}::jsonb) as fresh (kind text, name text, key text, size bigint)
      on conflict (job_id, attempt, kind, name) do update set object_key = excluded.object_key, size = excluded.size`);
    await tx.execute(sql`
      insert into stored_objects (object_key, owner, kind, size)
      select distinct on (key) key, ${job.owner}, 'output', size
      from jsonb_to_recordset(${JSON.stringify(last)}::jsonb) as fresh (key text, size bigint)
      on conflict (object_key) do update set owner = excluded.owner, kind = excluded.kind, size = excluded.size`);
  });
}

/** The job itself may put this output: it is shown once it is in the store. False when the attempt no longer counts. */
export async function announceOutput(
  db: Database,
  ref: { jobId: number; attempt: number },
  output: Pick<typeof outputs.$inferInsert, 'kind' | 'name' | 'key'>,
): Promise<boolean> {
  const rows = await db.execute(sql`
    with job as (
      select id from jobs where id = ${ref.jobId} and attempt = ${ref.attempt} and status in ('pending', 'running') for share
    ), announced as (
      insert into outputs (job_id, attempt, kind, name, object_key)
      select id, ${ref.attempt}::int, ${output.kind}, ${output.name}, ${output.key} from job on conflict do nothing
    )
    select id from job`);
  return rows.length > 0;
}
