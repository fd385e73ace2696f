import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { appendLogs } from '../../../db/logs.ts';
import { issueToken } from '../../../api/auth/tokens.ts';
import { clientOf, idsOf, signingKey, startApi, type Client, type TestApi } from './api.ts';
import { createWorkflow, finishWorkflow, named } from './workflows.ts';

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
  test('marks unfinished workflows and tells Temporal, once at a time however often it is asked', async () => {
    const id = await createWorkflow(anna);
    const before = api.wakeUps();
    for (let time = 0; time < 2; time += 1) {
      expect(await anna.delete(`/workflows/${id}`)).toMatchObject({ status: 200, json: {} });
    }
    expect(api.wakeUps()).toBe(before + 2);
    expect(
      await api.connection
        .sql`select target, payload from outbox where kind = 'deleteWorkflow' and target = ${`workflow-${id}`}`,
    ).toEqual([{ target: `workflow-${id}`, payload: { workflowId: id } }]);
    expect((await anna.get('/workflows')).json).toMatchObject([{ id, status: 'pending', deletionRequested: true }]);
    expect((await anna.get(`/workflows/${id}`)).json).toMatchObject([
      { statusDetail: expect.stringContaining('Deletion') },
    ]);
  });

  test('takes several ids and needs one of them to be in the queue', async () => {
    const [one, two, finished, foreign] = [
      await createWorkflow(anna),
      await createWorkflow(anna),
      await createWorkflow(anna),
      await createWorkflow(ben),
    ];
    await finishWorkflow(api.connection, finished);
    expect((await anna.delete(`/workflows?id=${one},${two},${foreign},5000000000`)).status).toBe(200);
    for (const path of [finished, foreign, one + 1, 4000000000].map((id) => `/workflows/${id}`)) {
      expect(await anna.delete(path)).toMatchObject({ status: 400, json: { error: 'No such workflow(s)' } });
    }
    for (const path of ['/workflows', '/workflows?id=', '/workflows?id=a']) {
      expect(await anna.delete(path)).toMatchObject({
        status: 400,
        json: { error: 'a workflow id or list of workflow ids must be provided' },
      });
    }
    expect((await ben.get(`/workflows/${foreign}`)).json[0]).not.toHaveProperty('deletionRequested');
  });

  test('takes a kept workflow out of the queue and leaves its state', async () => {
    const id = await createWorkflow(anna, { policies: { leaveInQueue: true } });
    await finishWorkflow(api.connection, id, 'failed', ['merge']);
    expect((await anna.delete(`/workflows/${id}`)).status).toBe(200);
    expect(await idsOf(anna, '/workflows')).toEqual([]);
    expect((await anna.get(`/workflows/${id}`)).json).toMatchObject([{ status: 'failed' }]);
    expect(
      await api.connection.sql`select 1 from outbox where kind = 'deleteWorkflow' and target = ${`workflow-${id}`}`,
    ).toEqual([]);
  });
});

describe('PUT', () => {
  test('remove ends what leaveInQueue began, also ahead of the end', async () => {
    const [kept, early] = [
      await createWorkflow(anna, { policies: { leaveInQueue: true } }),
      await createWorkflow(anna, { policies: { leaveInQueue: true } }),
    ];
    await finishWorkflow(api.connection, kept);
    expect(await anna.put(`/workflows/${kept}/remove`)).toMatchObject({ status: 200, json: {} });
    expect(await anna.put(`/workflows/${kept}/remove`)).toMatchObject({
      status: 400,
      json: { error: 'Workflow is no longer in the queue' },
    });
    expect((await anna.put(`/workflows/${early}/remove`)).status).toBe(200);
    expect(await idsOf(anna, '/workflows')).toEqual([early]);
    await finishWorkflow(api.connection, early);
    expect(await idsOf(anna, '/workflows')).toEqual([]);
  });

  test('clone submits again what was submitted, whatever became of it', async () => {
    const id = await createWorkflow(anna, { labels: { a: 'b' }, policies: { leaveInQueue: true } });
    await finishWorkflow(api.connection, id, 'failed', ['point']);
    const { status, json } = await anna.put(`/workflows/${id}/clone`);
    expect(status).toBe(201);
    const facts = (workflowId: number) => api.connection.sql`
      select name, labels, submitted, description, leave_in_queue, total from workflows where id = ${workflowId}`;
    expect(await facts(json.id)).toEqual(await facts(id));
    expect((await anna.get(`/workflows/${json.id}`)).json).toMatchObject([
      { status: 'pending', progress: { total: 5, done: 0, failed: 0, queued: 0, waiting: 5 } },
    ]);
    expect(await idsOf(anna, `/jobs?id=${json.id}&workflow=true`)).toHaveLength(5);
  });

  test('rerun keeps what succeeded, under a new id, with policies and labels', async () => {
    const id = await createWorkflow(anna, { labels: { a: 'b' }, policies: { leaveInQueue: true } });
    const { sql } = api.connection;
    await finishWorkflow(api.connection, id, 'failed', ['merge']);
    await appendLogs(api.connection.db, [
      { jobId: id + 2, attempt: 1, node: 0, stream: 'stdout', offset: 0, bytes: Buffer.from('kept') },
    ]);
    const { status, json } = await anna.put(`/workflows/${id}`);
    expect(status).toBe(200);
    const rerun = json.id as number;
    expect(rerun).toBe(id + 6);
    expect((await anna.get(`/workflows/${rerun}`)).json).toMatchObject([
      { status: 'pending', rerunOf: id, labels: { a: 'b' }, progress: { total: 5, done: 4, failed: 0, waiting: 1 } },
    ]);
    expect(await sql`select leave_in_queue from workflows where id = ${rerun}`).toEqual([{ leave_in_queue: true }]);
    expect(await idsOf(anna, `/jobs?id=${rerun}&workflow=true`)).toEqual([rerun + 5]);
    expect(await idsOf(anna, `/jobs?id=${rerun}&workflow=true&completed=true`)).toHaveLength(4);
    for (const path of [`/jobs/${rerun + 2}`, `/workflows/${rerun}/point/1`, `/workflows/${id}/point/1`]) {
      expect(await anna.get(`${path}/stdout`)).toMatchObject({ status: 200, text: 'kept' });
    }
    expect((await anna.get(`/workflows/${id}`)).json).toMatchObject([{ progress: { done: 4, failed: 1 } }]);
  });

  const rerunSome = (id: number, selection: object, client = anna) =>
    client.request('PUT', `/workflows/${id}`, {
      body: JSON.stringify(selection),
      headers: { 'Content-Type': 'application/json' },
    });

  test('a rerun of some keeps the address of their owner, whose token need not tell it again', async () => {
    const token = await issueToken(signingKey, { username: 'mia', email: 'mia@example.org', expiresSeconds: 3600 });
    const mia = clientOf(api.app, { Authorization: `Bearer ${token}` });
    const id = await createWorkflow(mia);
    await finishWorkflow(api.connection, id);
    const { json } = await rerunSome(id, { jobs: 'point' }, await api.as('mia'));
    expect(await api.connection.sql`select email from workflows where id = ${json.id}`).toEqual([
      { email: 'mia@example.org' },
    ]);
    expect(await api.connection.sql`select distinct email from jobs where workflow_id = ${json.id}`).toEqual([
      { email: 'mia@example.org' },
    ]);
  });

  test('a rerun of some runs those whose numbers and states are selected', async () => {
    const id = await createWorkflow(anna);
    const { sql } = api.connection;
    await finishWorkflow(api.connection, id, 'failed', ['merge']);
    await sql`update jobs set succeeded = false where id = ${id + 3}`;
    const again = async (selection: object) => {
      const { status, json } = await rerunSome(id, selection);
      if (status !== 200) return json.error as string;
      const rows = await sql<{ step: number; instance: number }[]>`
        select step, instance from jobs where workflow_id = ${json.id} and status = 'pending' order by id`;
      return rows.map(({ step, instance }) => `${step}/${instance}`).join(' ');
    };
    expect(await again({ jobs: 'point' })).toBe('0/0 0/1 0/2 0/3');
    expect(await again({ jobs: 'point', instances: '0-1,3,900000000-999999999' })).toBe('0/0 0/1 0/3');
    expect(await again({ jobs: 'point', status: 'failed' })).toBe('0/2');
    expect(await again({ jobs: 'point', status: ['failed', 'completed'], instances: '1-2' })).toBe('0/1 0/2');
    expect(await again({ jobs: 'point', status: 'skipped' })).toBe('the selection has no job of the workflow');
  });

  test('a selection has so many ranges, which are kept once', async () => {
    const id = await createWorkflow(anna, {
      jobs: [...Array(900).keys()].map((i) => named(`j${i}`)),
      factories: [],
      dependencies: {},
    });
    await finishWorkflow(api.connection, id);
    const ranges = (count: number) => Array.from({ length: count }, (_, i) => String(2 * i)).join(',');
    const { status, json } = await rerunSome(id, { instances: ranges(1000) });
    expect(status).toBe(200);
    const [row] = await api.connection
      .sql`select length(rerun_selection::text) as length from workflows where id = ${json.id}`;
    expect(row!['length']).toBeLessThan(50_000);
    expect(await rerunSome(id, { instances: ranges(1001) })).toMatchObject({
      status: 400,
      json: { error: 'instances must not be more than 1000 numbers and ranges' },
    });
  });

  test('rerun is refused while the workflow is not at its end', async () => {
    const id = await createWorkflow(anna);
    expect(await anna.put(`/workflows/${id}`)).toMatchObject({
      status: 400,
      json: { error: 'Unable to find re-run workflow as the original workflow is not in a suitable state' },
    });
    expect(await idsOf(anna, '/workflows')).toEqual([id]);
  });

  test.each(['', '/remove', '/clone'])("PUT %s refuses what is not there or someone else's", async (action) => {
    const id = await createWorkflow(ben);
    await finishWorkflow(api.connection, id);
    expect(await anna.put(`/workflows/${id}${action}`)).toMatchObject({
      status: 403,
      json: { error: 'Not authorized to access this workflow' },
    });
    for (const missing of [id + 1, 2147483647, '99999999999']) {
      expect(await anna.put(`/workflows/${missing}${action}`)).toMatchObject({
        status: 400,
        json: { error: 'Workflow does not exist' },
      });
    }
  });
});
