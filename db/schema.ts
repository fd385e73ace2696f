/**
 * Every table. Postgres owns the facts: what is listed, described or decided is read from here, never from Temporal.
 * Sizes are bytes, moments are timestamps with time zone, ids are handed to users as they are.
 */
import { sql } from 'drizzle-orm';
import {
  bigint,
  bigserial,
  boolean,
  check,
  customType,
  date,
  doublePrecision,
  index,
  integer,
  json,
  jsonb,
  pgSequence,
  pgTable,
  primaryKey,
  text,
  timestamp,
  uniqueIndex,
  uuid,
  type ExtraConfigColumn,
} from 'drizzle-orm/pg-core';
import type { JobDescription } from '../domain/description.ts';
import type { Parameters } from '../domain/parameters.ts';
import type { CallRequest, CallResult } from '../domain/call-messages.ts';
import type { StoredKind } from '../domain/stored-kind.ts';
import type { JobStatus } from '../domain/status.ts';
import type { JobExecution } from '../domain/execution.ts';
import type { MachineFacts } from '../domain/machine.ts';
import type { Capacity } from '../domain/placement.ts';
import type { WaitsOut } from '../domain/queue-policy.ts';
import type { StepSelection } from '../domain/selection.ts';
import type { WorkflowDescription } from '../domain/workflow-description.ts';

const bytea = customType<{ data: Buffer }>({ dataType: () => 'bytea' });
/** Compared byte by byte: what starts with a prefix is one range of an index, whatever the database's locale. */
const bytewiseText = customType<{ data: string }>({ dataType: () => 'text collate "C"' });
const moment = (name: string) => timestamp(name, { withTimezone: true, mode: 'date' });

/** How many notifications a description asks for: what ends it would read all of a large description only to count them. */
const notificationCount = () =>
  integer('notification_count').generatedAlwaysAs(sql`jsonb_array_length(description->'notifications')`);

/** What every job and every workflow has: whose it is, where it stands, and its moments. */
const submission = () => ({
  /** Names its objects in the store; not guessable from the id. */
  uid: uuid('uid').notNull().defaultRandom(),
  owner: text('owner').notNull(),
  groups: text('groups').array().notNull().default([]),
  email: text('email'),
  name: text('name').notNull().default(''),
  labels: jsonb('labels').$type<Record<string, string>>().notNull().default({}),
  /** A workflow is never `killed`. */
  status: text('status').$type<JobStatus>().notNull().default('pending'),
  /** One of domain/reasons.ts, or null. */
  statusReason: text('status_reason'),
  /** What happened in detail, for people: the registry's own words, the missing file's name. */
  statusDetail: text('status_detail'),
  leaveInQueue: boolean('leave_in_queue').notNull().default(false),
  /** Listed by default: unfinished, or finished and kept by leaveInQueue. */
  inQueue: boolean('in_queue').notNull().default(true),
  createdAt: moment('created_at').notNull().defaultNow(),
  startedAt: moment('started_at'),
  endedAt: moment('ended_at'),
  deleteRequestedAt: moment('delete_requested_at'),
  /** The end of the sign-in it stems from: what its jobs submit is refused then. Null where nobody's token submitted it. */
  signInEnds: moment('sign_in_ends'),
});

/** What lists of both are read by. */
const listIndexes = (table: string, t: Record<'id' | 'owner' | 'name' | 'labels', ExtraConfigColumn>) => [
  index(`${table}_owner_queue`)
    .on(t.owner, t.id)
    .where(sql`in_queue`),
  index(`${table}_owner_history`)
    .on(t.owner, t.id)
    .where(sql`status not in ('pending', 'running')`),
  index(`${table}_owner`).on(t.owner, t.id),
  index(`${table}_owner_name`).on(t.owner, t.name, t.id),
  index(`${table}_labels`).using('gin', t.labels),
];

/** Jobs and workflows draw their ids from one counter: a job id is never also a workflow id. */
export const ids = pgSequence('ids', { startWith: 1 });

export const jobs = pgTable(
  'jobs',
  {
    id: integer('id')
      .primaryKey()
      .default(sql`nextval('ids')`),
    ...submission(),
    /**
     * As submitted; echoed by describe (redacted) and used by clone. Not jsonb, which would reorder its keys. Null in a
     * workflow: its step has it.
     */
    submitted: json('submitted').$type<Record<string, unknown>>(),
    /** The same, validated and normalised; what execution reads. Null in a workflow: its step has it. */
    description: jsonb('description').$type<JobDescription>(),
    /** Null in a workflow: its step has it. */
    notificationCount: notificationCount(),
    /** The attempt that may publish; 0 before the first placement was asked for. */
    attempt: integer('attempt').notNull().default(0),
    execution: jsonb('execution').$type<JobExecution>().notNull().default({ tasks: [] }),
    /** Temporal workflow id; differs from job-<id> only for jobs started by an SDK client. */
    temporalId: text('temporal_id').notNull(),
    /** The workflow it is part of, the step there that describes it, and which of the step's instances it is, from 0. */
    workflowId: integer('workflow_id'),
    step: integer('step'),
    instance: integer('instance'),
    /** Of an instance made by a factory, maybe none; null for other jobs. */
    parameters: jsonb('parameters').$type<Parameters>(),
    /** Whether what depends on it may run; null until it ended. */
    succeeded: boolean('succeeded'),
    /** A rerun kept this job of an earlier workflow: the output of tasks is stored under that job's id. */
    keptFrom: integer('kept_from'),
    /** The job whose token submitted it; in a workflow, the workflow's counts. */
    submittedBy: integer('submitted_by'),
  },
  (t) => [
    check(
      'jobs_described',
      sql`(submitted is not null and description is not null) or (workflow_id is not null and step is not null)`,
    ),
    index('jobs_workflow')
      .on(t.workflowId, t.id)
      .where(sql`workflow_id is not null`),
    ...listIndexes('jobs', t),
    // How many an owner has is counted before a submit; those of workflows are counted there.
    index('jobs_owner_unfinished')
      .on(t.owner)
      .where(sql`workflow_id is null and status in ('pending', 'running')`),
    // Rows are written in the order of their creation: a few bytes for many of them tell when.
    index('jobs_created').using('brin', t.createdAt),
    uniqueIndex('jobs_temporal_id').on(t.temporalId),
    // Those of workflows go with them.
    index('jobs_ended')
      .on(t.endedAt)
      .where(sql`workflow_id is null and status not in ('pending', 'running')`),
    index('jobs_kept_from')
      .on(t.keptFrom)
      .where(sql`kept_from is not null`),
  ],
);

/** A user's DAG of jobs. Its counters and those of its steps change in the transaction that changes a job. */
export const workflows = pgTable(
  'workflows',
  {
    id: integer('id').primaryKey(),
    ...submission(),
    /** As submitted; echoed by describe (redacted) and used by clone and rerun. */
    submitted: json('submitted').$type<Record<string, unknown>>().notNull(),
    description: jsonb('description').$type<WorkflowDescription>().notNull(),
    notificationCount: notificationCount(),
    /** Temporal workflow id. */
    temporalId: text('temporal_id').notNull(),
    /** The ids of its jobs are `firstJobId` to `firstJobId + total - 1`, step after step. */
    firstJobId: integer('first_job_id').notNull(),
    total: integer('total').notNull(),
    /** Jobs by what became of them, as in workflow_steps; the rest of `total` waits. */
    done: integer('done').notNull().default(0),
    failed: integer('failed').notNull().default(0),
    queued: integer('queued').notNull().default(0),
    skipped: integer('skipped').notNull().default(0),
    leftOut: integer('left_out').notNull().default(0),
    /** Of a deleted workflow: how many of its jobs ended as deleted. */
    deleted: integer('deleted'),
    /** Every job has its row. Until then the rest are only ids of the range. */
    isExpanded: boolean('is_expanded').notNull().default(false),
    /** The workflow whose finished jobs this one keeps. */
    rerunOf: integer('rerun_of'),
    /** Which jobs of that workflow run again, by step. Null: all that did not succeed. */
    rerunSelection: jsonb('rerun_selection').$type<StepSelection>(),
    /** The job whose token submitted it. */
    submittedBy: integer('submitted_by'),
    /** It ended long ago, and its jobs are being removed. */
    removalBegun: boolean('removal_begun').notNull().default(false),
  },
  (t) => [
    index('workflows_ended').on(t.endedAt),
    index('workflows_rerun_of')
      .on(t.rerunOf)
      .where(sql`rerun_of is not null`),
    ...listIndexes('workflows', t),
    index('workflows_owner_unfinished')
      .on(t.owner)
      .where(sql`status in ('pending', 'running')`),
    uniqueIndex('workflows_temporal_id').on(t.temporalId),
  ],
);

/** One entry of a workflow's `jobs`: a job, or the template of a factory's instances. */
export const workflowSteps = pgTable(
  'workflow_steps',
  {
    workflowId: integer('workflow_id').notNull(),
    /** Position in `jobs`. */
    step: integer('step').notNull(),
    name: text('name').notNull(),
    /** Instance i has the id `firstJobId + i`. */
    firstJobId: integer('first_job_id').notNull(),
    count: integer('count').notNull(),
    /** Made by a factory: its jobs have numbers in their names, and parameters. */
    isFactory: boolean('is_factory').notNull(),
    /** As submitted, before any substitution. */
    submitted: json('submitted').$type<Record<string, unknown>>().notNull(),
    /** The same, normalised, with what the workflow's policies replace; before any substitution. */
    description: jsonb('description').$type<JobDescription>().notNull(),
    notificationCount: notificationCount(),
    /** Steps all of whose jobs must succeed first. */
    parents: integer('parents').array().notNull().default([]),
    /** Its jobs may run: they are queued, or have been. */
    isReleased: boolean('is_released').notNull().default(false),
    done: integer('done').notNull().default(0),
    failed: integer('failed').notNull().default(0),
    /** Released and not ended: pending or running. */
    queued: integer('queued').notNull().default(0),
    /** Will never run: a job they depend on failed, or the workflow was deleted first. */
    skipped: integer('skipped').notNull().default(0),
    /** A rerun of others did not select them, and has no result of theirs to keep. */
    leftOut: integer('left_out').notNull().default(0),
  },
  (t) => [primaryKey({ columns: [t.workflowId, t.step] }), index('workflow_steps_name').on(t.workflowId, t.name)],
);

/** What happened to a job, in order; append-only. */
export const jobEvents = pgTable(
  'job_events',
  {
    id: bigserial('id', { mode: 'number' }).primaryKey(),
    jobId: integer('job_id').notNull(),
    attempt: integer('attempt').notNull().default(0),
    at: moment('at').notNull().defaultNow(),
    kind: text('kind').notNull(),
    data: jsonb('data').$type<Record<string, unknown>>().notNull().default({}),
  },
  (t) => [index('job_events_job').on(t.jobId, t.id)],
);

/** One row per run of a job on machines. */
export const attempts = pgTable(
  'attempts',
  {
    jobId: integer('job_id').notNull(),
    attempt: integer('attempt').notNull(),
    site: text('site').notNull(),
    machineId: integer('machine_id').notNull(),
    startedAt: moment('started_at').notNull().defaultNow(),
    endedAt: moment('ended_at'),
    /** Why it ended: finished, machineLost, taskLost, stageFault, deleted. */
    outcome: text('outcome'),
    detail: text('detail'),
  },
  (t) => [primaryKey({ columns: [t.jobId, t.attempt] })],
);

export type OutboxKind =
  | 'startJob'
  | 'deleteJob'
  | 'startWorkflow'
  | 'deleteWorkflow'
  | 'placed'
  | 'leftQueue'
  | 'shardNews'
  | 'startMachine'
  | 'notify'
  | 'startCall';

/** Work for the outbox sender: something Temporal has yet to be told. A row is deleted once Temporal has accepted it. */
export const outbox = pgTable('outbox', {
  id: bigserial('id', { mode: 'number' }).primaryKey(),
  kind: text('kind').$type<OutboxKind>().notNull(),
  /** Temporal workflow id. */
  target: text('target').notNull(),
  payload: jsonb('payload').$type<Record<string, unknown>>().notNull().default({}),
  createdAt: moment('created_at').notNull().defaultNow(),
  /** Later than `createdAt` where Temporal refused it: until then others go first. */
  dueAt: moment('due_at').notNull().defaultNow(),
});

export const idempotencyKeys = pgTable(
  'idempotency_keys',
  {
    owner: text('owner').notNull(),
    key: text('key').notNull(),
    /** sha256 of the canonical request body. */
    requestHash: text('request_hash').notNull(),
    resourceId: integer('resource_id').notNull(),
    createdAt: moment('created_at').notNull().defaultNow(),
  },
  (t) => [primaryKey({ columns: [t.owner, t.key] }), index('idempotency_keys_created').on(t.createdAt)],
);

/** A host that can run jobs. `free*` is what no placement claims; changed only in the transaction that places or releases. */
export const machines = pgTable(
  'machines',
  {
    id: integer('id').primaryKey().generatedAlwaysAsIdentity(),
    site: text('site').notNull(),
    region: text('region'),
    name: text('name').notNull(),
    state: text('state')
      .$type<'starting' | 'ready' | 'unreachable' | 'lost' | 'removed'>()
      .notNull()
      .default('starting'),
    cpus: integer('cpus').notNull(),
    memory: bigint('memory', { mode: 'number' }).notNull(),
    disk: bigint('disk', { mode: 'number' }).notNull(),
    freeCpus: integer('free_cpus').notNull(),
    freeMemory: bigint('free_memory', { mode: 'number' }).notNull(),
    freeDisk: bigint('free_disk', { mode: 'number' }).notNull(),
    facts: jsonb('facts').$type<MachineFacts>(),
    lastSeenAt: moment('last_seen_at'),
    lastError: text('last_error'),
  },
  (t) => [uniqueIndex('machines_site_name').on(t.site, t.name)],
);

/** A job's claim on a machine. Exists from the grant to the release; its absence means the run is over. */
export const placements = pgTable(
  'placements',
  {
    jobId: integer('job_id').notNull(),
    attempt: integer('attempt').notNull(),
    node: integer('node').notNull(),
    machineId: integer('machine_id').notNull(),
    owner: text('owner').notNull(),
    /** Whose turn it was; 0: that of the owner's single jobs. */
    workflowId: integer('workflow_id').notNull().default(0),
    cpus: integer('cpus').notNull(),
    memory: bigint('memory', { mode: 'number' }).notNull(),
    disk: bigint('disk', { mode: 'number' }).notNull(),
    grantedAt: moment('granted_at').notNull().defaultNow(),
  },
  (t) => [primaryKey({ columns: [t.jobId, t.attempt, t.node] }), index('placements_machine').on(t.machineId)],
);

/** The queue: attempts that wait for a placement. `id` is the order of asking. */
export const placementRequests = pgTable(
  'placement_requests',
  {
    id: bigserial('id', { mode: 'number' }).primaryKey(),
    jobId: integer('job_id').notNull(),
    attempt: integer('attempt').notNull(),
    owner: text('owner').notNull(),
    priority: integer('priority').notNull().default(0),
    /** Among those of one owner that take turns; 0: its single jobs, which do so together. */
    workflowId: integer('workflow_id').notNull().default(0),
    /** Acceptable sizes, most wanted first. */
    sizes: jsonb('sizes').$type<Capacity[]>().notNull(),
    /** Sites and regions the job insists on; empty: any. */
    sites: text('sites').array().notNull().default([]),
    regions: text('regions').array().notNull().default([]),
    preferredSites: text('preferred_sites').array().notNull().default([]),
    preferredRegions: text('preferred_regions').array().notNull().default([]),
    /** What the machine must have: see `abilitiesFor` in domain/abilities.ts. */
    abilities: text('abilities').array().notNull().default([]),
    requestedAt: moment('requested_at').notNull().defaultNow(),
    /** Before it leaves the queue by itself. */
    waitsOut: text('waits_out').$type<WaitsOut>().notNull(),
    /** Whom a grant is told: the job's own execution, or the shard that will start one. */
    temporalId: text('temporal_id').notNull(),
    isOfShard: boolean('is_of_shard').notNull().default(false),
    /** The job has waited too long then; null where its own execution watches the time, or it may wait for ever. */
    expiresAt: moment('expires_at'),
    /** Why the last look found no place. */
    refusal: text('refusal'),
  },
  (t) => [
    uniqueIndex('placement_requests_attempt').on(t.jobId, t.attempt),
    // The priority is negated: then all that comes after a place is one range.
    index('placement_requests_turn').on(t.owner, sql`(- priority)`, t.workflowId, t.id),
    index('placement_requests_expiry')
      .on(t.expiresAt)
      .where(sql`expires_at is not null`),
  ],
);

/** Captured output, in pieces. (offset is in bytes from the start of the attempt's stream; repeats are harmless.) */
export const jobLogs = pgTable(
  'job_logs',
  {
    jobId: integer('job_id').notNull(),
    attempt: integer('attempt').notNull(),
    node: integer('node').notNull(),
    stream: text('stream').$type<'stdout' | 'stderr'>().notNull(),
    offset: bigint('byte_offset', { mode: 'number' }).notNull(),
    length: integer('byte_length').notNull(),
    bytes: bytea('bytes').notNull(),
  },
  (t) => [primaryKey({ columns: [t.jobId, t.attempt, t.node, t.stream, t.offset] })],
);

/** Output files and directories of a job that are in the store. */
export const outputs = pgTable(
  'outputs',
  {
    jobId: integer('job_id').notNull(),
    attempt: integer('attempt').notNull(),
    kind: text('kind').$type<'file' | 'directory'>().notNull(),
    /** As submitted. */
    name: text('name').notNull(),
    key: text('object_key').notNull(),
    /** Null: the job itself was given a URL for it, and whether it is there only the store knows. */
    size: bigint('size', { mode: 'number' }),
  },
  (t) => [primaryKey({ columns: [t.jobId, t.attempt, t.kind, t.name] }), index('outputs_key').on(t.key)],
);

/** What jobs used that were removed since, so that it stays counted. Kept for ever: a few rows for each owner and day. */
export const pastUsage = pgTable(
  'past_usage',
  {
    owner: text('owner').notNull(),
    groups: text('groups').array().notNull(),
    /** Of their submission, in UTC. */
    day: date('day').notNull(),
    jobs: integer('jobs').notNull(),
    cpuSeconds: doublePrecision('cpu_seconds').notNull(),
    /** Of one CPU. */
    wallSeconds: doublePrecision('wall_seconds').notNull(),
  },
  (t) => [primaryKey({ columns: [t.owner, t.groups, t.day] })],
);

/** Images a machine holds, so that a job whose image is there needs no pull step. The machine itself has the last word. */
export const machineImages = pgTable(
  'machine_images',
  {
    machineId: integer('machine_id').notNull(),
    /** Hash of the image reference, and of the credential where one was used. */
    imageKey: text('image_key').notNull(),
    fileSha256: text('file_sha256').notNull(),
    /** Manifest digest in the registry, where the image came from one and it could be resolved. */
    digest: text('digest'),
    size: bigint('size', { mode: 'number' }).notNull(),
    resolvedAt: moment('resolved_at').notNull().defaultNow(),
  },
  (t) => [primaryKey({ columns: [t.machineId, t.imageKey] })],
);

/** Uploads that were announced with a checksum; the bytes and their size are the store's own facts. */
export const uploads = pgTable('uploads', {
  key: text('object_key').primaryKey(),
  sha256: text('sha256').notNull(),
  /** The object was seen to have it. */
  isVerified: boolean('is_verified').notNull().default(false),
  createdAt: moment('created_at').notNull().defaultNow(),
});

/** What owners have in the store, as it was seen to be: the sum of theirs is bounded. Each object once, whatever names it. */
export const storedObjects = pgTable(
  'stored_objects',
  {
    key: text('object_key').primaryKey(),
    /** Who put it, also into the area of a group. */
    owner: text('owner').notNull(),
    kind: text('kind').$type<StoredKind>().notNull(),
    size: bigint('size', { mode: 'number' }).notNull(),
  },
  (t) => [index('stored_objects_owner').on(t.owner, t.size)],
);

/** URLs that were given out for stores that we do not see bytes come into: what came is looked at until it is settled. */
export const pendingPuts = pgTable('pending_puts', {
  key: text('object_key').primaryKey(),
  owner: text('owner').notNull(),
  kind: text('kind').$type<StoredKind>().notNull(),
  announcedAt: moment('announced_at').notNull().defaultNow(),
  lookedAt: moment('looked_at'),
});

/** Submits of each owner, told by every API process: its limit holds for all of them together. */
export const submitCounts = pgTable(
  'submit_counts',
  {
    owner: text('owner').notNull(),
    minute: moment('minute').notNull(),
    submits: integer('submits').notNull(),
  },
  (t) => [primaryKey({ columns: [t.owner, t.minute] }), index('submit_counts_minute').on(t.minute)],
);

/** Who may do nothing here any more: operators say so. */
export const bars = pgTable(
  'bars',
  {
    kind: text('kind').$type<'owner' | 'group'>().notNull(),
    name: text('name').notNull(),
    /** Told to who is barred. */
    reason: text('reason'),
    barredBy: text('barred_by').notNull(),
    barredAt: moment('barred_at').notNull().defaultNow(),
  },
  (t) => [primaryKey({ columns: [t.kind, t.name] })],
);

export type NotificationState = 'retrying' | 'delivered' | 'givenUp';

/** What became of the notifications of ended jobs and workflows; a row is made by the first attempt. */
export const notifications = pgTable(
  'notifications',
  {
    /** The job or workflow it is about. */
    subjectId: integer('subject_id').notNull(),
    /** In the list of its description, from 0. */
    position: integer('position').notNull(),
    state: text('state').$type<NotificationState>().notNull(),
    attempts: integer('attempts').notNull(),
    /** Why the last attempt did not deliver it. */
    detail: text('detail'),
    changedAt: moment('changed_at').notNull().defaultNow(),
  },
  (t) => [
    primaryKey({ columns: [t.subjectId, t.position] }),
    index('notifications_given_up')
      .on(t.changedAt)
      .where(sql`state = 'givenUp'`),
  ],
);

/** The users' key-value store. */
export const keyValues = pgTable(
  'key_values',
  {
    owner: text('owner').notNull(),
    /** Without a slash in front. */
    key: bytewiseText('key').notNull(),
    /** As it was given, or encrypted. */
    value: bytea('value').notNull(),
    /** Of a secret: which key encrypted it. Null: it is none. */
    sealedWith: text('sealed_with'),
    changedAt: moment('changed_at').notNull().defaultNow(),
  },
  (t) => [
    primaryKey({ columns: [t.owner, t.key] }),
    index('key_values_sealed')
      .on(t.sealedWith)
      .where(sql`sealed_with is not null`),
  ],
);

/** What jobs measured of themselves; a row for each field. */
export const jobPoints = pgTable(
  'job_points',
  {
    id: bigserial('id', { mode: 'number' }).primaryKey(),
    jobId: integer('job_id').notNull(),
    at: moment('at').notNull().defaultNow(),
    measurement: text('measurement').notNull(),
    field: text('field').notNull(),
    tags: jsonb('tags').$type<Record<string, string>>().notNull().default({}),
    value: jsonb('value').$type<number | string | boolean>().notNull(),
  },
  (t) => [index('job_points_job').on(t.jobId, t.at)],
);

/**
 * What was asked of a running job on its machine: commands, whose rows go when they were answered, and snapshots, which
 * stay to be found.
 */
export const jobCalls = pgTable(
  'job_calls',
  {
    id: uuid('id').primaryKey().defaultRandom(),
    jobId: integer('job_id').notNull(),
    attempt: integer('attempt').notNull(),
    /** May hold what only the owner may see: it is read from here, and never travels through Temporal. */
    request: jsonb('request').$type<CallRequest>().notNull(),
    createdAt: moment('created_at').notNull().defaultNow(),
    /** A command is begun once, whatever becomes of the worker that did. */
    startedAt: moment('started_at'),
    endedAt: moment('ended_at'),
    result: jsonb('result').$type<CallResult>(),
  },
  (t) => [index('job_calls_job').on(t.jobId, t.createdAt)],
);

/** What a command has written so far. */
export const jobCallOutput = pgTable(
  'job_call_output',
  {
    callId: uuid('call_id')
      .notNull()
      .references(() => jobCalls.id, { onDelete: 'cascade' }),
    position: integer('position').notNull(),
    bytes: bytea('bytes').notNull(),
  },
  (t) => [primaryKey({ columns: [t.callId, t.position] })],
);
