import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { idsOf, startApi, type Client, type TestApi } from './api.ts';
import { createWorkflow, finishWorkflow, named, scan } from './workflows.ts';

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

describe('GET /workflows', () => {
  test('lists the queue oldest first, with what a list shows', async () => {
    const [first, second] = [await createWorkflow(anna), await createWorkflow(anna, { name: undefined })];
    const { json } = await anna.get('/workflows?num=1');
    expect(json).toEqual([
      {
        id: first,
        name: 'scan',
        status: 'pending',
        events: { createTime: expect.any(Number) },
        progress: { total: 5, done: 0, failed: 0, queued: 0, waiting: 5 },
      },
      expect.objectContaining({ id: second, name: '' }),
    ]);
  });

  test('progress adds up whatever became of the jobs', async () => {
    const id = await createWorkflow(anna);
    await api.connection.sql`
      update workflows set done = 1, failed = 1, queued = 1, skipped = 1, status = 'running', started_at = now()
      where id = ${id}`;
    expect((await anna.get('/workflows')).json).toMatchObject([
      {
        status: 'running',
        events: { startTime: expect.any(Number) },
        progress: { total: 5, done: 1, failed: 1, queued: 1, waiting: 2 },
      },
    ]);
  });

  test('shows finished workflows only where they were asked for or kept', async () => {
    const [done, kept, open] = [
      await createWorkflow(anna),
      await createWorkflow(anna, { policies: { leaveInQueue: true } }),
      await createWorkflow(anna),
    ];
    await finishWorkflow(api.connection, done);
    await finishWorkflow(api.connection, kept, 'failed', ['merge']);
    expect(await idsOf(anna, '/workflows')).toEqual([kept, open]);
    expect(await idsOf(anna, '/workflows?completed=true')).toEqual([kept]);
    expect(await idsOf(anna, '/workflows?completed=true&num=2')).toEqual([kept, done]);
    expect(await idsOf(anna, '/workflows?completed=true&num=-1')).toEqual([kept, done]);
    expect(await idsOf(anna, '/workflows?num=1&all=true')).toEqual([kept, done, open]);
    expect(await idsOf(anna, `/workflows?id=${done},${open},99999999999`)).toEqual([done, open]);
    expect((await anna.get('/workflows?completed=true')).json).toMatchObject([
      { status: 'failed', progress: { total: 5, done: 4, failed: 1, queued: 0, waiting: 0 } },
    ]);
  });

  test('filters by status, constraints and name', async () => {
    const waiting = await createWorkflow(anna, { labels: { app: 'pi', run: '1' }, name: 'x' });
    const running = await createWorkflow(anna, { labels: { app: 'pi' } });
    await api.connection.sql`update workflows set status = 'running', started_at = now() where id = ${running}`;
    expect(await idsOf(anna, '/workflows?status=idle')).toEqual([waiting]);
    expect(await idsOf(anna, '/workflows?status=running&all=true')).toEqual([running]);
    expect(await idsOf(anna, '/workflows?constraint=app%3Dpi')).toEqual([waiting, running]);
    expect(await idsOf(anna, '/workflows?constraint=app%3Dpi&constraint=run:1')).toEqual([waiting]);
    expect(await idsOf(anna, '/workflows?name=x')).toEqual([waiting]);
  });

  test.each([
    ['status=sleeping', 'invalid status specified'],
    ['constraint=app', 'Invalid constraint'],
    ['completed=true&num=many', 'num must be an integer, not "many"'],
    ['id=one', 'id must be a workflow id or a list of workflow ids'],
  ])('answers 400 to ?%s', async (query, error) => {
    expect(await anna.get(`/workflows?${query}`)).toMatchObject({ status: 400, json: { error } });
  });

  test('gives details when they are asked for, and goes through every page', async () => {
    await createWorkflow(anna, { labels: { a: 'b' } });
    expect((await anna.get('/workflows?detail')).json).toMatchObject([{ labels: { a: 'b' }, jobs: [{}, {}] }]);
    await api.connection.sql`
      insert into workflows (id, owner, submitted, description, temporal_id, first_job_id, total)
      select id, ${`anna${counter}`}, '{"jobs":[]}', '{}', 'many-' || id, id + 1, 0
      from (select nextval('ids')::int as id from generate_series(1, 1100)) as fresh`;
    const ids = await idsOf(anna, '/workflows?all');
    expect(ids).toHaveLength(1101);
    expect(ids).toEqual([...ids].sort((a, b) => a - b));
    expect(await idsOf(anna, '/workflows?all&detail')).toEqual(ids);
  });
});

describe('GET /workflows/<id>', () => {
  test('tells everything that was submitted, without secrets', async () => {
    const task = { image: 'reg/x', runtime: 'singularity', imagePullCredential: { username: 'u', token: 'secret' } };
    const document = scan({ jobs: [named('point', { tasks: [task] }), named('merge')], labels: { app: 'pi' } });
    const id = (await anna.post('/workflows', document)).json.id as number;
    const { status, text, json } = await anna.get(`/workflows/${id}`);
    expect(status).toBe(200);
    expect(text).not.toContain('secret');
    const masked = { ...task, imagePullCredential: { username: 'u', token: '***' } };
    expect(json).toEqual([
      {
        ...document,
        jobs: [named('point', { tasks: [masked] }), named('merge')],
        id,
        name: 'scan',
        status: 'pending',
        events: { createTime: expect.any(Number) },
        progress: { total: 5, done: 0, failed: 0, queued: 0, waiting: 5 },
      },
    ]);
    for (const path of [`/jobs?id=${id}&workflow=true`, `/jobs?id=${id}&workflow=true&detail`, '/workflows?detail']) {
      expect((await anna.get(path)).text).not.toContain('secret');
    }
    const [row] = await api.connection.sql`select submitted from workflows where id = ${id}`;
    expect(row?.['submitted'].jobs[0].tasks[0].imagePullCredential.token).toBe('secret');
  });

  test('tells why it ended', async () => {
    const id = await createWorkflow(anna);
    await finishWorkflow(api.connection, id, 'deleted');
    await api.connection.sql`
      update workflows set status_reason = 'Workflow deleted by user', status_detail = 'more' where id = ${id}`;
    expect((await anna.get(`/workflows/${id}`)).json).toMatchObject([
      { status: 'deleted', statusReason: 'Workflow deleted by user', statusDetail: 'more' },
    ]);
  });

  test("says nothing of what is not there, of a job, or of what is someone else's", async () => {
    const id = await createWorkflow(ben);
    const job = await createWorkflow(anna);
    for (const other of [id, job + 1, 2147483647, '99999999999999999999', 0]) {
      expect(await anna.get(`/workflows/${other}`)).toMatchObject({ status: 200, json: [] });
    }
    expect(await idsOf(anna, `/workflows?id=${id}`)).toEqual([]);
    expect(await idsOf(anna, `/workflows?all&name=scan`)).toEqual([job]);
  });
});

describe('GET /workflows/<id>/graph', () => {
  test('tells steps with their counts, and edges', async () => {
    const id = await createWorkflow(anna);
    await api.connection.sql`
      update workflow_steps set done = 1, failed = 1, queued = 1 where workflow_id = ${id} and name = 'point'`;
    await api.connection.sql`update workflow_steps set skipped = 1 where workflow_id = ${id} and name = 'merge'`;
    expect(await anna.get(`/workflows/${id}/graph`)).toMatchObject({
      status: 200,
      json: {
        id,
        name: 'scan',
        status: 'pending',
        nodes: [
          {
            name: 'point',
            count: 4,
            firstJobId: id + 1,
            progress: { total: 4, done: 1, failed: 1, queued: 1, skipped: 0, leftOut: 0, waiting: 1 },
          },
          { name: 'merge', count: 1, firstJobId: id + 5, progress: { total: 1, skipped: 1, waiting: 0 } },
        ],
        edges: [{ parent: 'point', child: 'merge' }],
      },
    });
  });

  test("is refused where there is none or it is someone else's", async () => {
    const id = await createWorkflow(ben);
    expect(await anna.get(`/workflows/${id}/graph`)).toMatchObject({
      status: 403,
      json: { error: 'Not authorized to access this workflow' },
    });
    expect(await anna.get(`/workflows/${id + 1}/graph`)).toMatchObject({
      status: 400,
      json: { error: 'Workflow does not exist' },
    });
  });
});
