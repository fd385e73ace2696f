import { afterAll, beforeAll, expect, test } from 'vitest';
import { appendLogs } from '../../../db/logs.ts';
import { startApi, type Client, type TestApi } from './api.ts';
import { createWorkflow, named } from './workflows.ts';

let api: TestApi;
let anna: Client;
let ben: Client;
let id: number;

const names = ['point', 'merge', 'a/b', 'with space', '0', '7', 'once', 'point/1'];

/** Every job wrote its own name, and an instance its number. */
beforeAll(async () => {
  api = await startApi();
  anna = await api.as('anna');
  ben = await api.as('ben');
  const repeated = (job: string, number: number) => ({ name: job, type: 'repeat', jobs: [job], number });
  id = await createWorkflow(anna, {
    jobs: names.map((name) => named(name)),
    factories: [repeated('point', 3), repeated('a/b', 2), repeated('once', 1)],
    dependencies: {},
  });
  const jobs = await api.connection.sql<{ id: number; name: string }[]>`
    update jobs set attempt = 1 where workflow_id = ${id} returning id, name`;
  await appendLogs(
    api.connection.db,
    jobs.flatMap((job) =>
      (['stdout', 'stderr'] as const).map((stream) => ({
        ...{ jobId: job.id, attempt: 1, node: 0, stream, offset: 0 },
        bytes: Buffer.from(`${stream} of ${job.name}`),
      })),
    ),
  );
});
afterAll(() => api.close());

test.each([
  ['merge', 'scan/merge'],
  ['point/2', 'scan/point/2'],
  ['with%20space', 'scan/with space'],
  ['with space', 'scan/with space'],
  ['a%2Fb/1', 'scan/a/b/1'],
  ['a/b/1', 'scan/a/b/1'],
  ['point%2F1', 'scan/point/1'],
  ['once', 'scan/once/0'],
  ['once/0', 'scan/once/0'],
  ['7', 'scan/7'],
])('%s is the output of %s', async (path, name) => {
  for (const stream of ['stdout', 'stderr']) {
    expect(await anna.get(`/workflows/${id}/${path}/${stream}?node=0&offset=0`)).toMatchObject({
      status: 200,
      text: `${stream} of ${name}`,
    });
  }
});

test('offsets are in bytes, and other machines of a job are told apart', async () => {
  expect((await anna.get(`/workflows/${id}/point/2/stdout?offset=10`)).text).toBe('scan/point/2');
  expect(await anna.get(`/workflows/${id}/point/2/stdout?offset=1000`)).toMatchObject({ status: 200, text: '' });
  expect(await anna.get(`/workflows/${id}/point/2/stdout?node=1`)).toMatchObject({ status: 200, text: '' });
  expect((await anna.get(`/workflows/${id}/merge/stdout?offset=x`)).status).toBe(400);
  expect(await anna.get(`/workflows/${id}/merge/stdout?node=x`)).toMatchObject({
    status: 400,
    json: { error: 'node must be a whole number, not "x"' },
  });
});

test.each([
  ['0/stderr?node=merge', 'scan/merge'],
  ['0/3/stderr?node=merge', undefined],
  ['0/2/stderr?node=point&offset=0', 'scan/point/2'],
  ['0/1/stderr?node=a/b', 'scan/a/b/1'],
  ['0/stderr?node=with%20space', 'scan/with space'],
  ['0/stderr?node=0', 'scan/0'],
  ['3/stderr?node=7', undefined],
])('%s, as the client of old asks, is the output of %s', async (path, name) => {
  const { status, text } = await anna.get(`/workflows/${id}/${path}`);
  // What is on another machine than the first is nothing.
  if (name === undefined) expect([status, text === '']).not.toEqual([200, false]);
  else expect({ status, text }).toEqual({ status: 200, text: `stderr of ${name}` });
});

test.each(['stdout', 'stderr'])('%s of a job that is not in the workflow does not exist', async (stream) => {
  for (const path of ['nothing', 'nothing/0', 'POINT/0', 'a', '100%', 'x%2']) {
    expect(await anna.get(`/workflows/${id}/${path}/${stream}?node=0`)).toMatchObject({
      status: 400,
      json: { error: `${stream} does not exist` },
    });
  }
  expect(await anna.get(`/workflows/${id}/0/stderr?node=nothing`)).toMatchObject({
    status: 400,
    json: { error: 'stderr does not exist' },
  });
});

test('an instance must be told where there are several, and be there', async () => {
  expect(await anna.get(`/workflows/${id}/point/stdout`)).toMatchObject({
    status: 400,
    json: { error: 'job "point" has 3 instances: say which, from 0 to 2' },
  });
  expect(await anna.get(`/workflows/${id}/point/3/stdout`)).toMatchObject({
    status: 400,
    json: { error: 'job "point" has no instance 3, only 0 to 2' },
  });
  expect(await anna.get(`/workflows/${id}/merge/0/stdout`)).toMatchObject({
    status: 400,
    json: { error: 'job "merge" is not made by a factory' },
  });
});

test('of a job that has not started, or has no row yet, it is empty', async () => {
  const waiting = await createWorkflow(anna);
  expect(await anna.get(`/workflows/${waiting}/merge/stdout`)).toMatchObject({ status: 200, text: '' });
  await api.connection.sql`delete from jobs where workflow_id = ${waiting}`;
  const answer = await anna.get(`/workflows/${waiting}/merge/stdout`);
  expect(answer).toMatchObject({ status: 200, text: '' });
  expect(answer.headers.get('content-type')).toBe('text/plain; charset=utf-8');
});

test("what is not there or someone else's is refused", async () => {
  expect(await ben.get(`/workflows/${id}/merge/stdout`)).toMatchObject({
    status: 403,
    json: { error: 'Not authorized to access this workflow' },
  });
  for (const missing of [id + 1, '99999999999']) {
    expect(await anna.get(`/workflows/${missing}/merge/stdout`)).toMatchObject({
      status: 400,
      json: { error: 'Workflow does not exist' },
    });
  }
  for (const [method, path] of [
    ['POST', 'merge/stdout'],
    ['PUT', 'a/b/1/stderr'],
  ] as const) {
    expect((await anna.request(method, `/workflows/${id}/${path}`)).status).toBe(405);
  }
  expect((await anna.get(`/workflows/${id}/stdout`)).status).toBe(404);
  expect((await anna.get(`/workflows/${id}/merge`)).status).toBe(404);
});
