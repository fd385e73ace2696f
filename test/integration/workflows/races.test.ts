/**
 * Two transactions that want the same job, on a real PostgreSQL: each in turn is held open until the other waits for
 * it. Whatever the order, nothing keeps a machine or a turn in the queue for a job that has ended, and who waits for the
 * job is told.
 */
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { createDagActivities } from '../../../activities/dag.ts';
import { createRecordActivities, type RecordActivities } from '../../../activities/records.ts';
import type { Connection, Transaction } from '../../../db/connection.ts';
import { beginFirstAttempt, endJob, lockJob } from '../../../db/execution.ts';
import { requestDeletion } from '../../../db/job-requests.ts';
import { enqueue, lockPlacements } from '../../../db/placements.ts';
import { submitJob } from '../../../db/submissions.ts';
import { releaseSteps } from '../../../db/workflow-execution.ts';
import { expandNext } from '../../../db/workflow-expansion.ts';
import { submitWorkflow } from '../../../db/workflow-submissions.ts';
import { parseJobDescription } from '../../../descriptions/job.ts';
import { parseWorkflowDescription } from '../../../descriptions/workflow.ts';
import { placeQueued } from '../../../scheduler/place.ts';
import { eventually } from '../../ground/rest.ts';
import { shellJob } from '../../ground/running-stack.ts';
import { startDatabase, type TestDatabase } from '../api/postgres.ts';

let database: TestDatabase;
let connection: Connection;
let records: RecordActivities;
const identity = { owner: 'ann', groups: [] };
const settings = { sites: ['here'], defaultWalltimeMinutes: 1, killGraceSeconds: 1, maximumMachineLosses: 1 };
const size = { cpus: 1, memory: 1_000_000_000, disk: 1_000_000_000 };

beforeAll(async () => {
  database = await startDatabase();
  connection = database.connection;
  const submit = () => Promise.reject(new Error('nothing is submitted by these executions'));
  records = createRecordActivities({ db: connection.db, ...settings, submit });
});
afterAll(async () => {
  await database?.destroy();
});
beforeEach(async () => {
  await connection.sql`truncate machines, jobs, workflows, placements, placement_requests, outbox restart identity cascade`;
  await connection.sql`
    insert into machines (site, name, state, cpus, memory, disk, free_cpus, free_memory, free_disk, facts)
    values ('here', 'one', 'ready', 4, 8e9, 8e9, 4, 8e9, 8e9, '{"runtimes": {"singularity": "1"}}')`;
});

/** `first` is done but not committed when `second` begins, and is committed when `second` waits for a lock. */
async function meanwhile(first: (tx: Transaction) => Promise<unknown>, second: () => Promise<unknown>): Promise<void> {
  let commit = () => {};
  const isHeld = new Promise<void>((resolve) => (commit = resolve));
  let isDone = () => {};
  const done = new Promise<void>((resolve) => (isDone = resolve));
  const holding = connection.db.transaction(async (tx) => {
    await first(tx);
    isDone();
    await isHeld;
  });
  await Promise.race([done, holding]);
  const waiting = second();
  try {
    await someoneWaits();
  } finally {
    commit();
  }
  await holding;
  await waiting;
}

const someoneWaits = (number = 1) =>
  eventually(
    async () => {
      const [row] = await connection.sql`
        select count(*)::int as waiting from pg_stat_activity where wait_event_type = 'Lock'`;
      return row!['waiting'] >= number ? true : undefined;
    },
    () => 'the second never waited for the first',
  );

/** What jobs hold, and what is free of the one machine. */
async function held() {
  const [row] = await connection.sql`
    select (select count(*)::int from placements) as placements, (select count(*)::int from placement_requests) as requests,
      free_cpus, free_memory::float8, free_disk::float8 from machines`;
  return row;
}
const nothing = { placements: 0, requests: 0, free_cpus: 4, free_memory: 8e9, free_disk: 8e9 };

async function queuedJob(): Promise<number> {
  const parsed = parseJobDescription(shellJob('true'));
  if (parsed.kind === 'invalid') throw new Error(parsed.issues[0]!.message);
  const { id } = await submitJob(connection.db, {
    identity,
    submitted: parsed.submitted,
    description: parsed.description,
  });
  await connection.db.transaction(async (tx) => {
    await beginFirstAttempt(tx, id);
    await enqueue(tx, { ...request, jobId: id, temporalId: `job-${id}` }, 'busy');
  });
  return id;
}
const request = {
  attempt: 1,
  owner: 'ann',
  workflowId: 0,
  priority: 0,
  sizes: [size],
  sites: [],
  regions: [],
  preferredSites: [],
  preferredRegions: [],
  abilities: [],
  waitsOut: 'anything' as const,
};

const end = (jobId: number) =>
  connection.db.transaction((tx) =>
    endJob(tx, { jobId, attempt: 1, status: 'deleted', tasks: [], retries: 0, succeeded: false }),
  );

async function releasedSweep(count: number): Promise<number> {
  const parsed = parseWorkflowDescription({
    name: 'sweep',
    jobs: [shellJob('echo $i', { name: 'point' })],
    factories: [
      {
        type: 'parameterSweep',
        name: 'f',
        jobs: ['point'],
        parameters: [{ name: 'i', start: 1, end: count, step: 1 }],
      },
    ],
  });
  if (parsed.kind === 'invalid') throw new Error(parsed.issues[0]!.message);
  const { submitted, description } = parsed;
  const { id } = await submitWorkflow(connection.db, { identity, submitted, description });
  while (!(await connection.sql.begin((sql) => expandNext(sql, id, 100))));
  await releaseSteps(connection.db, id, [0]);
  return id;
}

const openShard = (tx: Transaction | Connection['db'], first: number, count: number) =>
  createDagActivities({ db: tx as Connection['db'], ...settings }).openShard({
    firstJobId: first,
    count,
    shardId: 'shard',
  });

const toldToShard = async () => {
  const rows = await connection.sql<{ payload: { ended?: number[]; placed?: { jobId: number }[] } }[]>`
    select payload from outbox where kind = 'shardNews' order by id`;
  return rows.map(({ payload }) => ({ ended: payload.ended, placed: payload.placed?.map(({ jobId }) => jobId) }));
};

it('a job of a shard that is deleted while its shard asks for places leaves the queue, and the shard is told', async () => {
  const id = await releasedSweep(3);
  await meanwhile(
    (tx) => openShard(tx, id + 1, 3),
    () => requestDeletion(connection.db, 'ann', [id + 2]),
  );
  const queue = await connection.sql`select job_id from placement_requests order by job_id`;
  expect(queue.map((row) => row['job_id'])).toEqual([id + 1, id + 3]);
  expect(await toldToShard()).toEqual([{ ended: [id + 2], placed: undefined }]);
});

it('a job of a shard that is deleted while it gets its place is marked, and keeps the place until its execution ends', async () => {
  const id = await releasedSweep(1);
  await openShard(connection.db, id + 1, 1);
  await meanwhile(
    (tx) => placeQueued(tx as unknown as Connection['db']),
    () => requestDeletion(connection.db, 'ann', [id + 1]),
  );
  expect(await toldToShard()).toEqual([{ ended: undefined, placed: [id + 1] }]);
  expect(await connection.sql`select status, delete_requested_at is not null as marked from jobs`).toMatchObject([
    { status: 'pending', marked: true },
  ]);
  await end(id + 1);
  expect(await held()).toEqual(nothing);
});

it('a job that ends while it gets its place gives the place back', async () => {
  const id = await queuedJob();
  await meanwhile(
    (tx) => placeQueued(tx as unknown as Connection['db']),
    () => end(id),
  );
  expect(await held()).toEqual(nothing);
});

it('a job that somebody works on gets its place a round later, and no round waits for it', async () => {
  const id = await queuedJob();
  await connection.db.transaction(async (tx) => {
    await lockJob(tx, id);
    expect(await placeQueued(connection.db)).toBe(0);
  });
  expect(await placeQueued(connection.db)).toBe(1);
  await end(id);
  expect(await held()).toEqual(nothing);
  expect(await placeQueued(connection.db)).toBe(0);
});

it('a job that is started again asks for a place while a round of the scheduler has the machine', async () => {
  const id = await queuedJob();
  await placeQueued(connection.db);
  let next: Promise<unknown> | undefined;
  await connection.db.transaction(async (tx) => {
    await lockPlacements(tx);
    next = records.nextAttempt({ jobId: id, attempt: 1, cause: 'retry', detail: 'a test', retries: 1 });
    await someoneWaits();
    // As a grant does. The job must not have this row while it waits for the placement lock.
    await tx.execute(`update machines set free_cpus = free_cpus`);
  });
  expect(await next).toMatchObject({ kind: 'placed', placement: { attempt: 2 } });
});

it('an attempt that is asked for when the job has long ended gets nothing, and blocks nobody', async () => {
  const id = await queuedJob();
  await placeQueued(connection.db);
  await end(id);
  const late = { jobId: id, attempt: 1, cause: 'machineLost', detail: 'a worker that slept', retries: 0 } as const;
  expect(await records.nextAttempt(late)).toMatchObject({ kind: 'refused' });
  expect(await held()).toEqual(nothing);
});

it('jobs of a workflow that wait and run are deleted while one of them ends', async () => {
  const id = await releasedSweep(3);
  await openShard(connection.db, id + 1, 3);
  await connection.sql`update machines set free_cpus = 1`;
  expect(await placeQueued(connection.db)).toBe(1);
  await connection.sql`update jobs set status = 'running' where id = ${id + 1}`;
  let both: Promise<unknown> | undefined;
  await connection.sql.begin(async (sql) => {
    await sql`select 1 from workflow_steps for update`;
    // It has rows of jobs, and waits for their step's.
    const deleting = requestDeletion(connection.db, 'ann', [id + 1, id + 2, id + 3]);
    await someoneWaits();
    // It must not have its own row and wait for the step's: the deletion is to come to that row after the step's.
    both = Promise.all([deleting, end(id + 1)]);
    await someoneWaits(2);
  });
  await both;
  expect((await connection.sql`select status from jobs where id > ${id}`).map((row) => row['status'])).toEqual([
    'deleted',
    'deleted',
    'deleted',
  ]);
});
