import { afterAll, beforeAll, expect, test } from 'vitest';
import { appendLogs } from '../../../db/logs.ts';
import { job, startApi, type Client, type TestApi } from './api.ts';

let api: TestApi;
let anna: Client;
let ben: Client;
let id: number;

const piece = (offset: number, text: string, more: { attempt?: number; node?: number; stream?: 'stderr' } = {}) => ({
  jobId: id,
  attempt: 2,
  node: 0,
  stream: 'stdout' as const,
  offset,
  bytes: Buffer.from(text),
  ...more,
});
const write = (...pieces: ReturnType<typeof piece>[]) => appendLogs(api.connection.db, pieces);

beforeAll(async () => {
  api = await startApi();
  anna = await api.as('anna');
  ben = await api.as('ben');
});
afterAll(() => api.close());

const create = async () => {
  id = (await anna.post('/jobs', job())).json.id as number;
  await api.connection.sql`update jobs set attempt = 2, status = 'running' where id = ${id}`;
};

test('a job that has not started has empty output', async () => {
  const { json } = await anna.post('/jobs', job());
  for (const stream of ['stdout', 'stderr']) {
    const answer = await anna.get(`/jobs/${json.id}/${stream}?node=0&offset=0`);
    expect(answer).toMatchObject({ status: 200, text: '' });
    expect(answer.headers.get('content-type')).toBe('text/plain; charset=utf-8');
  }
});

test('pieces are given in order, from a byte on, each byte once', async () => {
  await create();
  await write(piece(6, 'wörld\n'), piece(0, 'hello '), piece(3, 'lo w'), piece(6, 'other'));
  expect(await anna.get(`/jobs/${id}/stdout`)).toMatchObject({ status: 200, text: 'hello wörld\n' });
  expect((await anna.get(`/jobs/${id}/stdout?offset=4`)).text).toBe('o wörld\n');
  expect((await anna.get(`/jobs/${id}/stdout?offset=12`)).text).toBe('\n');
  for (const offset of ['13', '1000', '99999999999999999999']) {
    expect(await anna.get(`/jobs/${id}/stdout?offset=${offset}`)).toMatchObject({ status: 200, text: '' });
  }
});

test('streams, nodes and attempts are kept apart; the current attempt is what is shown', async () => {
  await create();
  await write(
    piece(0, 'out'),
    piece(0, 'err', { stream: 'stderr' }),
    piece(0, 'node 1', { node: 1 }),
    piece(0, 'old', { attempt: 1 }),
  );
  expect((await anna.get(`/jobs/${id}/stdout`)).text).toBe('out');
  expect((await anna.get(`/jobs/${id}/stderr?offset=1`)).text).toBe('rr');
  expect((await anna.get(`/jobs/${id}/stdout?node=1`)).text).toBe('node 1');
  expect((await anna.get(`/jobs/${id}/stdout?attempt=1`)).text).toBe('old');
  expect((await anna.get(`/jobs/${id}/stdout?node=7`)).text).toBe('');
});

test('output larger than one look at the table comes whole', async () => {
  await create();
  const pieces = Array.from({ length: 200 }, (_, i) => piece(i * 1000, String(i % 10).repeat(1000)));
  await write(...pieces);
  const { text } = await anna.get(`/jobs/${id}/stdout?offset=500`);
  expect(text).toBe(
    pieces
      .map(({ bytes }) => bytes.toString())
      .join('')
      .slice(500),
  );
});

test.each(['offset=x', 'offset=-1', 'offset=1.5', 'node=x', 'attempt=x', 'offset='])('?%s is a 400', async (query) => {
  await create();
  const { status, json } = await anna.get(`/jobs/${id}/stdout?${query}`);
  expect({ status, error: typeof json.error }).toEqual({ status: 400, error: 'string' });
});

test.each(['node=99999999999', 'attempt=99999999999', 'attempt=0'])('?%s is nothing', async (query) => {
  await create();
  expect(await anna.get(`/jobs/${id}/stdout?${query}`)).toMatchObject({ status: 200, text: '' });
});

test("what is not there or someone else's is refused", async () => {
  await create();
  for (const stream of ['stdout', 'stderr']) {
    expect(await ben.get(`/jobs/${id}/${stream}`)).toMatchObject({
      status: 403,
      json: { error: 'Not authorized to access this job' },
    });
    for (const missing of ['2147483647', '99999999999', '0']) {
      expect(await ben.get(`/jobs/${missing}/${stream}`)).toMatchObject({
        status: 400,
        json: { error: 'Job does not exist' },
      });
    }
  }
});
