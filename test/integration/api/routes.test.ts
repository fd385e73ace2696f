import type { AddressInfo } from 'node:net';
import { serve, type ServerType } from '@hono/node-server';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { issueToken } from '../../../api/auth/tokens.ts';
import { connect } from '../../../db/connection.ts';
import { job, signingKey, startApi, type Client, type TestApi } from './api.ts';

let api: TestApi;
let anna: Client;

beforeAll(async () => {
  api = await startApi();
  anna = await api.as('anna');
});
afterAll(() => api.close());

describe('routes', () => {
  test.each(['/v1', '/prominence/v1', '/api/v1'])('exist under %s', async (prefix) => {
    expect((await anna.get(`/${prefix}/jobs`)).json).toEqual([]);
    expect((await anna.post(`/${prefix}/jobs`, {})).status).toBe(400);
    expect((await api.anonymous.get(`/${prefix}/health`)).status).toBe(204);
  });

  test.each(['/', '/nothing', '/jobs/', '/jobs/abc', '/jobs/-1', '/jobs/1/nothing', '/workflows/x', '//jobs'])(
    '%s is a 404 in JSON',
    async (path) => {
      expect(await anna.get(path)).toMatchObject({ status: 404, json: { error: expect.any(String) } });
    },
  );

  test.each([
    ['PATCH', '/jobs', 'DELETE, GET, HEAD, POST'],
    ['POST', '/jobs/1', 'DELETE, GET, HEAD'],
    ['GET', '/jobs/1/remove', 'PUT'],
    ['DELETE', '/jobs/1/stdout', 'GET, HEAD'],
    ['PUT', '/data', 'GET, HEAD, POST'],
    ['POST', '/data/x', 'DELETE, GET, HEAD'],
    ['POST', '/health', 'GET, HEAD'],
    ['OPTIONS', '/workflows', 'DELETE, GET, HEAD, POST'],
    ['POST', '/workflows/1', 'DELETE, GET, HEAD, PUT'],
    ['GET', '/workflows/1/clone', 'PUT'],
    ['PUT', '/workflows/1/graph', 'GET, HEAD'],
    ['POST', '/workflows/1/a/b/2/stderr', 'GET, HEAD'],
  ])('%s %s is a 405 with what is allowed', async (method, path, allow) => {
    const answer = await anna.request(method, path);
    expect(answer).toMatchObject({ status: 405, json: { error: expect.stringContaining(allow) } });
    expect(answer.headers.get('allow')).toBe(allow);
  });

  test('the root tells what this is, and where to go on', async () => {
    const { status, json } = await api.anonymous.get('//');
    expect(status).toBe(200);
    expect(json).toMatchObject({ name: 'prominence', version: expect.stringMatching(/^\d+\.\d+\.\d+$/) });
    for (const path of [json.documentation, json.openapi, json.health]) {
      expect((await api.anonymous.get(`/${path}`)).status, path).toBeLessThan(300);
    }
    expect(await api.anonymous.request('POST', '//')).toMatchObject({ status: 405 });
    expect(await api.anonymous.get('//nothing')).toMatchObject({ status: 404, json: { error: expect.any(String) } });
  });

  test('HEAD is GET without a body', async () => {
    expect(await anna.request('HEAD', '/jobs')).toMatchObject({ status: 200, text: '' });
  });
});

describe('over a socket', () => {
  let server: ServerType;
  let url: string;
  let headers: Record<string, string>;

  beforeAll(async () => {
    const address = await new Promise<AddressInfo>((resolve) => {
      server = serve({ fetch: api.app.fetch, port: 0, hostname: '127.0.0.1' }, resolve);
    });
    url = `http://127.0.0.1:${address.port}/v1`;
    const token = await issueToken(signingKey, { username: 'sock', expiresSeconds: 600 });
    headers = { Authorization: `token ${token}`, 'Content-Type': 'application/json' };
  });
  afterAll(() => new Promise((resolve) => server.close(resolve)));

  test('a job goes in and comes out', async () => {
    const created = await fetch(`${url}/jobs`, { method: 'POST', headers, body: JSON.stringify(job()) });
    expect(created.status).toBe(201);
    const { id } = (await created.json()) as { id: number };
    const listed = await fetch(`${url}/jobs/${id}`, { headers });
    expect(await listed.json()).toMatchObject([{ id }]);
  });

  test('a body that is too large is answered 413 in JSON, announced or not', async () => {
    const body = JSON.stringify(job({ name: 'x'.repeat(5_000_000) }));
    const announced = await fetch(`${url}/jobs`, { method: 'POST', headers, body });
    expect(announced.status).toBe(413);
    expect(await announced.json()).toEqual({ error: expect.stringContaining('1000000 bytes') });
    const pieces = ReadableStream.from(Array.from({ length: 500 }, () => new Uint8Array(10_000)));
    const init = { method: 'POST', headers, body: pieces, duplex: 'half' };
    const streamed = await fetch(`${url}/jobs`, init as RequestInit);
    expect(streamed.status).toBe(413);
    expect(await streamed.json()).toEqual({ error: expect.any(String) });
  });
});

describe('while the database is away', () => {
  test('a database that hangs does not make clients hang', async () => {
    const hurried = await startApi({ answerWithinMs: 3000 });
    try {
      const client = await hurried.as('anna');
      const release = await new Promise<() => void>((locked) => {
        void hurried.connection.sql.begin(async (tx) => {
          await tx`lock table jobs in access exclusive mode`;
          await new Promise<void>((resolve) => locked(resolve));
        });
      });
      const answer = await client.get('/jobs');
      release();
      expect(answer).toMatchObject({ status: 503, json: { error: expect.stringContaining('in time') } });
      await expect.poll(async () => (await client.get('/jobs')).status, { timeout: 60_000 }).toBe(200);
    } finally {
      await hurried.close();
    }
  });

  test('a statement that takes too long is ended, and the client may try again', async () => {
    const hasty = await startApi({ statementTimeoutMs: 500 });
    try {
      const client = await hasty.as('anna');
      const other = connect(hasty.postgres.url, { poolSize: 1 });
      const answer = await other.sql.begin(async (tx) => {
        await tx`lock table jobs in access exclusive mode`;
        return client.get('/jobs?id=1');
      });
      await other.close();
      expect(answer).toMatchObject({ status: 503, json: { error: expect.stringContaining('try again') } });
      expect((await client.get('/jobs')).status).toBe(200);
    } finally {
      await hasty.close();
    }
  });

  test('every answer says so in JSON, and all is well when it is back', async () => {
    await anna.post('/jobs', job());
    await api.postgres.stop();
    const answers = await Promise.all([
      anna.get('/jobs'),
      anna.get('/jobs/1'),
      anna.get('/jobs/1/stdout'),
      anna.post('/jobs', job()),
      anna.post('/jobs', job(), { 'Idempotency-Key': 'k' }),
      anna.delete('/jobs/1'),
      anna.put('/jobs/1/remove'),
      anna.put('/jobs/1/clone'),
      anna.post('/data', { filename: 'a' }),
      anna.get('/workflows'),
      anna.get('/workflows/1/graph'),
      anna.get('/workflows/1/a/stdout'),
      anna.post('/workflows', { jobs: [] }),
      anna.post('/workflows', { jobs: [] }, { 'Idempotency-Key': 'k' }),
      anna.put('/workflows/1'),
      anna.put('/workflows/1/clone'),
      anna.delete('/workflows/1'),
    ]);
    for (const answer of answers) {
      expect(answer).toMatchObject({ status: 503, json: { error: expect.stringContaining('database') } });
    }
    expect(await api.anonymous.get('/health')).toMatchObject({ status: 409, json: { errors: 'DATABASE' } });
    // A description that is wrong is so without a database, but who may submit one at all is in it; that is remembered a second.
    await expect.poll(async () => (await anna.post('/jobs', {})).status, { timeout: 10_000 }).toBe(503);

    await api.postgres.start();
    await expect.poll(async () => (await api.anonymous.get('/health')).status, { timeout: 60_000 }).toBe(204);
    expect((await anna.post('/jobs', job())).status).toBe(201);
    expect((await anna.get('/jobs')).json).toHaveLength(2);
  });
});
