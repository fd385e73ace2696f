import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createJob, finish, idsOf, startApi, type Client, type TestApi } from './api.ts';

let api: TestApi;
let anna: Client;
let ben: Client;

beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.close());

let counter = 0;
beforeEach(async () => {
  counter += 1;
  anna = await api.as(`anna${counter}`);
  ben = await api.as(`ben${counter}`);
});

describe('DELETE', () => {
  test('marks unfinished jobs and tells Temporal, once at a time however often it is asked', async () => {
    const id = await createJob(anna);
    expect(await anna.delete(`/jobs/${id}`)).toMatchObject({ status: 200, json: {} });
    expect(await anna.delete(`/jobs/${id}`)).toMatchObject({ status: 200, json: {} });
    expect(
      await api.connection.sql`select target, payload from outbox where kind = 'deleteJob' and target = ${`job-${id}`}`,
    ).toEqual([{ target: `job-${id}`, payload: { jobId: id } }]);
    // It was sent, and the job is still there.
    await api.connection.sql`delete from outbox where kind = 'deleteJob'`;
    await anna.delete(`/jobs/${id}`);
    expect(await api.connection.sql`select target from outbox where kind = 'deleteJob'`).toHaveLength(1);
    const events = await api.connection.sql`select kind from job_events where job_id = ${id} order by id`;
    expect(events.map(({ kind }) => kind as string)).toEqual(['created', 'deleteRequested']);
    expect((await anna.get('/jobs')).json).toMatchObject([{ id, status: 'pending', deletionRequested: true }]);
    expect((await anna.get(`/jobs/${id}`)).json).toMatchObject([{ statusDetail: expect.stringContaining('Deletion') }]);
  });

  test('takes several ids and needs one of them to be in the queue', async () => {
    const [one, two, finished, foreign] = [
      await createJob(anna),
      await createJob(anna),
      await createJob(anna),
      await createJob(ben),
    ];
    await finish(api.connection, finished);
    expect((await anna.delete(`/jobs?id=${one},${two},${foreign},5000000000`)).status).toBe(200);
    for (const path of [`/jobs/${finished}`, `/jobs/${foreign}`, `/jobs?id=${foreign}`, '/jobs/4000000000']) {
      expect(await anna.delete(path)).toMatchObject({ status: 400, json: { error: 'No such job(s)' } });
    }
    for (const path of ['/jobs', '/jobs?id=', '/jobs?id=a']) {
      expect(await anna.delete(path)).toMatchObject({
        status: 400,
        json: { error: 'a job id or list of job ids must be provided' },
      });
    }
    expect((await ben.get(`/jobs/${foreign}`)).json[0]).not.toHaveProperty('deletionRequested');
  });

  test('takes a kept job out of the queue and leaves its state', async () => {
    const id = await createJob(anna, { policies: { leaveInQueue: true } });
    await finish(api.connection, id, 'failed');
    expect((await anna.delete(`/jobs/${id}`)).status).toBe(200);
    expect(await idsOf(anna, '/jobs')).toEqual([]);
    expect((await anna.get(`/jobs/${id}`)).json).toMatchObject([{ status: 'failed' }]);
    expect(await api.connection.sql`select 1 from outbox where kind = 'deleteJob' and target = ${`job-${id}`}`).toEqual(
      [],
    );
  });
});

describe('PUT remove and clone', () => {
  test('remove ends what leaveInQueue began, also ahead of the end', async () => {
    const [kept, early] = [
      await createJob(anna, { policies: { leaveInQueue: true } }),
      await createJob(anna, { policies: { leaveInQueue: true } }),
    ];
    await finish(api.connection, kept);
    expect(await anna.put(`/jobs/${kept}/remove`)).toMatchObject({ status: 200, json: {} });
    expect(await anna.put(`/jobs/${kept}/remove`)).toMatchObject({
      status: 400,
      json: { error: 'Job is no longer in the queue' },
    });
    expect((await anna.put(`/jobs/${early}/remove`)).status).toBe(200);
    expect(await idsOf(anna, '/jobs')).toEqual([early]);
    await finish(api.connection, early);
    expect(await idsOf(anna, '/jobs')).toEqual([]);
  });

  test('clone submits again what was submitted, secrets and all', async () => {
    const id = await createJob(anna, {
      name: 'x',
      labels: { a: 'b' },
      tasks: [{ image: 'reg/x', runtime: 'singularity', imagePullCredential: { username: 'u', token: 'secret' } }],
      policies: { leaveInQueue: true },
    });
    await finish(api.connection, id, 'failed');
    await anna.put(`/jobs/${id}/remove`);
    const { status, json } = await anna.put(`/jobs/${id}/clone`);
    expect(status).toBe(201);
    const { sql } = api.connection;
    const facts = (jobId: number) => sql`
      select name, labels, submitted, description from jobs where id = ${jobId}`;
    expect(await facts(json.id)).toEqual(await facts(id));
    expect(await sql`select status, in_queue, leave_in_queue from jobs where id = ${json.id}`).toEqual([
      { status: 'pending', in_queue: true, leave_in_queue: true },
    ]);
    expect(await sql`select 1 as one from outbox where target = ${`job-${json.id}`}`).toEqual([{ one: 1 }]);
  });

  test.each(['remove', 'clone'])("%s refuses what is not there or someone else's", async (action) => {
    const id = await createJob(ben);
    expect(await anna.put(`/jobs/${id}/${action}`)).toMatchObject({
      status: 403,
      json: { error: 'Not authorized to access this job' },
    });
    for (const missing of [2147483647, '99999999999']) {
      expect(await anna.put(`/jobs/${missing}/${action}`)).toMatchObject({
        status: 400,
        json: { error: 'Job does not exist' },
      });
    }
  });
});
