/** What ended long ago goes, with its objects and all that is known of it, and nothing else does. The clock is the test's. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { endJob } from '../../../db/execution.ts';
import type { JobEnding } from '../../../domain/job-messages.ts';
import { endWorkflow, releaseSteps } from '../../../db/workflow-execution.ts';
import { removeExpired, type RetentionDependencies, type RetentionSettings } from '../../../scheduler/retention.ts';
import { outputKey, snapshotKey, uploadKey } from '../../../storage/keys.ts';
import type { ObjectStore } from '../../../storage/object-store.ts';
import { createS3Store, type S3Store } from '../../../storage/s3.ts';
import { startS3, type S3Server } from '../../ground/s3.ts';
import { job, startApi, type Client, type TestApi } from './api.ts';

const day = 24 * 3600 * 1000;
const ninety: RetentionSettings = { finishedDays: 90, keptDays: 90 };
const inDays = (days: number) => new Date(Date.now() + days * day);

let api: TestApi;
let anna: Client;
let server: S3Server;
let s3: S3Store;
beforeAll(async () => {
  [api, server] = await Promise.all([startApi(), startS3()]);
  anna = await api.as('anna', 'lab');
  const { endpoint, accessKeyId, secretAccessKey } = server;
  s3 = createS3Store({
    endpoint,
    accessKeyId,
    secretAccessKey,
    ...{ region: 'us-east-1', bucket: 'kept', forcePathStyle: true },
  });
  await s3.ensureReady();
});
afterAll(async () => {
  s3?.close();
  await server?.stop();
  await api?.close();
});
beforeEach(async () => {
  const tables = ['jobs', 'workflows', 'workflow_steps', 'job_logs', 'job_events', 'outputs', 'attempts', 'job_points'];
  const more = ['job_calls', 'notifications', 'idempotency_keys', 'past_usage', 'outbox'];
  await api.connection.sql.unsafe(`truncate ${[...tables, ...more].join(', ')} cascade`);
  for (const store of [api.store, s3]) for (const key of await keysIn(store)) await store.delete(key);
});

const stores: [string, () => ObjectStore, (key: string, text: string) => Promise<unknown>][] = [
  ['a folder', () => api.store, (key, text) => api.store.folder.write(key, [Buffer.from(text)], {})],
  ['S3', () => s3, async (key, text) => fetch(await s3.presignPut(key, 60), { method: 'PUT', body: text })],
];

const keysIn = async (store: ObjectStore) => {
  const keys: string[] = [];
  for await (const { key } of store.list('')) keys.push(key);
  return keys;
};

async function round(now: Date, settings = ninety, store: RetentionDependencies['store'] = api.store, most = 500) {
  const removed = { jobs: 0, workflows: 0, objects: 0, rounds: 0 };
  for (;;) {
    const once = await removeExpired({ db: api.connection.db, store, settings }, now, most);
    removed.jobs += once.jobs;
    removed.workflows += once.workflows;
    removed.objects += once.objects;
    removed.rounds += 1;
    if (!once.isMore) return removed;
  }
}

async function submit(changes: Record<string, unknown> = {}, headers = {}): Promise<number> {
  const { json } = await anna.post('/jobs', job(changes), headers);
  return (json as { id: number }).id;
}

const endWith = (ending: JobEnding) => api.connection.db.transaction((tx) => endJob(tx, ending));
const tasks = [{ exitCode: 0, cpuTimeUsage: 1800, wallTimeUsage: 3600 }];
const end = (jobId: number) => endWith({ jobId, attempt: 1, status: 'completed', tasks, retries: 0, succeeded: true });
const begin = (jobId: number) => api.connection.sql`
  update jobs set attempt = 1, started_at = now(), status = 'running' where id = ${jobId}`;
const uidOf = async (id: number) =>
  (await api.connection.sql<{ uid: string }[]>`select uid from jobs where id = ${id}`)[0]!.uid;

/** A job that ran, with something in every place there is. */
async function ranJob(put: (key: string, text: string) => Promise<unknown>, changes: Record<string, unknown> = {}) {
  const id = await submit({ outputFiles: ['out.txt'], ...changes }, { 'Idempotency-Key': `key-${Math.random()}` });
  await begin(id);
  const uid = await uidOf(id);
  const { sql } = api.connection;
  const key = outputKey(uid, 2, 'file', 'out.txt');
  await put(key, 'result');
  // Of an attempt that was lost after it had put it.
  await put(outputKey(uid, 1, 'file', 'out.txt'), 'lost');
  await sql`insert into outputs (job_id, attempt, kind, name, object_key, size) values (${id}, 1, 'file', 'out.txt', ${key}, 6)`;
  await sql`insert into job_logs (job_id, attempt, node, stream, byte_offset, byte_length, bytes)
    values (${id}, 1, 0, 'stdout', 0, 3, 'hey')`;
  await sql`insert into attempts (job_id, attempt, site, machine_id) values (${id}, 1, 'here', 1)`;
  await sql`insert into job_points (job_id, measurement, field, value) values (${id}, 'm', 'f', '1')`;
  await sql`insert into notifications (subject_id, position, state, attempts) values (${id}, 0, 'delivered', 1)`;
  const [call] = await sql<{ id: string }[]>`
    insert into job_calls (job_id, attempt, request, result)
    values (${id}, 1, '{"kind":"snapshot","path":"."}', '{"kind":"uploaded"}') returning id`;
  await sql`insert into job_call_output (call_id, position, bytes) values (${call!.id}, 0, 'x')`;
  await put(snapshotKey(uid, call!.id), 'packed');
  await end(id);
  return id;
}

/** How many rows anywhere are about jobs. */
async function rowsOf(...ids: number[]): Promise<Record<string, number>> {
  const counts = ['job_events', 'job_logs', 'outputs', 'attempts', 'job_points', 'job_calls'].map((table) => [
    table,
    'job_id',
  ]);
  const all = [...counts, ['jobs', 'id'], ['notifications', 'subject_id'], ['idempotency_keys', 'resource_id']];
  const found: Record<string, number> = {};
  for (const [table, column] of all) {
    const [row] = await api.connection.sql.unsafe<{ count: number }[]>(
      `select count(*)::int as count from ${table} where ${column} = any($1::int[])`,
      [ids],
    );
    if (row!.count > 0) found[table!] = row!.count;
  }
  return found;
}

const usage = async () =>
  (await anna.get('/accounting?start=2000-01-01&end=9999-01-01&by_group=true&show_all_users=true')).json;

describe.each(stores)('with objects in %s', (_, storeOf, put) => {
  test('a job goes with everything that is its own; what is younger, unfinished or uploaded stays, and so does usage', async () => {
    const store = storeOf();
    const old = await ranJob(put);
    const kept = await ranJob(put, { policies: { leaveInQueue: true } });
    await put(uploadKey.own('anna', 'data.txt'), 'mine');
    await api.connection
      .sql`update jobs set ended_at = now() - interval '89 days', created_at = now() - interval '95 days'`;
    await api.connection.sql`update idempotency_keys set created_at = now() - interval '95 days'`;
    const young = await ranJob(put);
    const running = await submit();
    await begin(running);
    const before = await usage();
    expect(before).toMatchObject({
      usage: { users: { anna: { cpuTime: 1.5, numberOfJobs: 3 } }, groups: { lab: {} } },
    });
    expect(Object.keys(await rowsOf(old))).toHaveLength(9);

    expect(await round(inDays(0), ninety, store)).toMatchObject({ jobs: 0, objects: 0 });
    // A day later, but what users keep may stay longer.
    expect(await round(inDays(2), { finishedDays: 90, keptDays: 100 }, store)).toMatchObject({ jobs: 1, objects: 3 });
    expect(await rowsOf(old)).toEqual({});
    expect((await anna.get(`/jobs/${old}`)).json).toEqual([]);
    expect((await anna.get('/jobs')).json).toMatchObject([{ id: kept }, { id: running }]);
    expect(await round(inDays(2), ninety, store)).toMatchObject({ jobs: 1, objects: 3 });
    expect((await anna.get('/jobs')).json).toMatchObject([{ id: running }]);
    expect(await round(inDays(2), ninety, store)).toEqual({ jobs: 0, workflows: 0, objects: 0, rounds: 1 });

    const uid = await uidOf(young);
    const keys = await keysIn(store);
    expect(keys).toHaveLength(4);
    expect(keys.filter((key) => key.includes(uid))).toHaveLength(3);
    expect(keys).toContain(uploadKey.own('anna', 'data.txt'));
    expect(Object.keys(await rowsOf(young))).toHaveLength(9);
    expect(await usage()).toEqual(before);
    expect(await submit()).toBeGreaterThan(running);
  });
});

test('what is killed in between is finished by the next round, and counted once', async () => {
  const [, , put] = stores[0]!;
  const ids = [await ranJob(put), await ranJob(put), await ranJob(put)];
  const before = await usage();
  let left = 4;
  const dying: RetentionDependencies['store'] = {
    list: (prefix) => api.store.list(prefix),
    delete: (key) => (left-- > 0 ? api.store.delete(key) : Promise.reject(new Error('killed'))),
  };
  await expect(round(inDays(91), ninety, dying)).rejects.toThrow('killed');
  expect(await rowsOf(...ids)).toMatchObject({ jobs: 3, outputs: 3 });
  // One thing at a time, keys too: rounds have a bound.
  expect(await round(inDays(91), ninety, api.store, 1)).toMatchObject({ jobs: 3, rounds: 7 });
  expect(await rowsOf(...ids)).toEqual({});
  expect(await keysIn(api.store)).toEqual([]);
  expect(await usage()).toEqual(before);
});

describe('a workflow', () => {
  const document = {
    name: 'w',
    jobs: [job({ name: 'a', outputFiles: ['out.txt'] }), job({ name: 'b' })],
    dependencies: { a: ['b'] },
  };
  const ranWorkflow = async () => {
    const { id } = (await anna.post('/workflows', document)).json as { id: number };
    await releaseSteps(api.connection.db, id, [0, 1]);
    await begin(id + 1);
    const key = outputKey(await uidOf(id + 1), 1, 'file', 'out.txt');
    await api.store.folder.write(key, [Buffer.from('made')], {});
    await api.connection.sql`
      insert into outputs (job_id, attempt, kind, name, object_key, size) values (${id + 1}, 1, 'file', 'out.txt', ${key}, 4)`;
    await api.connection.sql`insert into job_logs (job_id, attempt, node, stream, byte_offset, byte_length, bytes)
      values (${id + 1}, 1, 0, 'stdout', 0, 4, 'said')`;
    await end(id + 1);
    return { id, key };
  };
  const failSecond = (id: number) =>
    endWith({ jobId: id + 2, attempt: 0, status: 'failed', tasks: [], retries: 0, succeeded: false });

  test('goes as a whole, when all of it has ended long ago, in batches', async () => {
    const { id } = await ranWorkflow();
    await api.connection.sql`update jobs set ended_at = now() - interval '1 year' where id = ${id + 1}`;
    expect(await round(inDays(91))).toMatchObject({ jobs: 0, workflows: 0 });
    await failSecond(id);
    await endWorkflow(api.connection.db, id, false);
    expect(await round(inDays(89))).toMatchObject({ jobs: 0, workflows: 0 });
    expect(await round(inDays(91), ninety, api.store, 1)).toMatchObject({
      jobs: 2,
      workflows: 1,
      objects: 1,
      rounds: 4,
    });
    expect(await rowsOf(id, id + 1, id + 2)).toEqual({});
    expect((await anna.get(`/workflows/${id}`)).json).toEqual([]);
    expect([...(await api.connection.sql`select 1 from workflow_steps`)]).toEqual([]);
    expect(await keysIn(api.store)).toEqual([]);
  });

  test('leaves to its rerun what that kept, until the rerun goes too', async () => {
    const { id, key } = await ranWorkflow();
    await failSecond(id);
    await endWorkflow(api.connection.db, id, false);
    await api.connection.sql`update workflows set ended_at = now() - interval '50 days'`;
    const { id: again } = (await anna.put(`/workflows/${id}`)).json as { id: number };
    await releaseSteps(api.connection.db, again, [1]);
    await failSecond(again);
    await endWorkflow(api.connection.db, again, false);
    const before = await usage();
    expect(before).toMatchObject({ usage: { users: { anna: { numberOfJobs: 1 } } } });

    expect(await round(inDays(60))).toMatchObject({ jobs: 2, workflows: 1, objects: 0 });
    expect((await anna.get(`/workflows/${id}`)).json).toEqual([]);
    expect((await anna.get(`/jobs/${again + 1}/stdout`)).text).toBe('said');
    expect((await anna.get(`/workflows/${again}/a/stdout`)).text).toBe('said');
    const [kept] = (await anna.get(`/jobs/${again + 1}`)).json as [{ outputFiles: { url: string }[] }];
    expect(kept.outputFiles[0]!.url).toContain('signature');
    expect(await keysIn(api.store)).toEqual([key]);
    // A rerun of the rerun keeps it once more.
    expect((await anna.put(`/workflows/${again}`)).status).toBe(200);
    await api.connection
      .sql`update workflows set status = 'deleted', in_queue = false, ended_at = now() where id > ${again}`;
    await api.connection.sql`update jobs set status = 'deleted' where status = 'pending'`;

    expect(await round(inDays(91))).toMatchObject({ jobs: 4, workflows: 2, objects: 1 });
    expect(await keysIn(api.store)).toEqual([]);
    expect([
      ...(await api.connection
        .sql`select 1 from job_logs union all select 1 from jobs union all select 1 from outputs`),
    ]).toEqual([]);
    expect(await usage()).toEqual(before);
  });

  test('that is being removed can not be run again, and one that a rerun still copies is not removed', async () => {
    const { id } = await ranWorkflow();
    await failSecond(id);
    await endWorkflow(api.connection.db, id, false);
    const { id: again } = (await anna.put(`/workflows/${id}`)).json as { id: number };
    await api.connection.sql`update workflows set is_expanded = false where id = ${again}`;
    expect(await round(inDays(91))).toMatchObject({ workflows: 0 });
    await api.connection.sql`update workflows set is_expanded = true where id = ${again}`;
    await api.connection.sql`update workflows set removal_begun = true where id = ${id}`;
    expect(await anna.put(`/workflows/${id}`)).toMatchObject({ status: 400 });
  });
});
