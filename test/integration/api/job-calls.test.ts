import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { jobTokenSigner } from '../../../activities/job-token.ts';
import { appendCallOutput, claimCall, endCall, findOpenCall } from '../../../db/job-calls.ts';
import type { CallRequest, CallResult } from '../../../domain/call-messages.ts';
import { eventually } from '../../ground/rest.ts';
import { clientOf, finish, job, signingKey, startApi, type Answer, type Client, type TestApi } from './api.ts';

let api: TestApi;
let anna: Client;
let owner: string;
let jobId: number;
let counter = 0;

beforeAll(async () => {
  api = await startApi({ answerWithinMs: 60_000 });
});
afterAll(() => api.close());
beforeEach(async () => {
  counter += 1;
  owner = `anna${counter}`;
  anna = await api.as(owner, 'lab');
  jobId = await runningJob(anna);
});

async function runningJob(client: Client): Promise<number> {
  const artifacts = [{ url: 'http://web/set.tgz', mountpoint: 'set:/mnt/in' }];
  const { id } = (await client.post('/jobs', job({ artifacts }))).json as { id: number };
  await api.connection.sql`update jobs set status = 'running', attempt = 1, started_at = now() where id = ${id}`;
  return id;
}

/** What a worker writes. */
const exited = (exitCode: number): CallResult => ({ kind: 'ended', exitCode, cause: 'exited' });

/** Does what a worker does with the next call of the job; returns what was asked. */
async function work(result: CallResult, output: string[] = [], ofJob = jobId): Promise<CallRequest> {
  const { db, sql } = api.connection;
  const id = await eventually(
    async () => {
      const rows = await sql`
        select id from job_calls
        where job_id = ${ofJob} and started_at is null and ended_at is null and created_at > now() - interval '1 hour'`;
      return rows[0]?.['id'] as string | undefined;
    },
    () => 'nothing was asked',
    60,
  );
  const call = await findOpenCall(db, id);
  expect(await claimCall(db, id)).toBe(true);
  expect(await claimCall(db, id)).toBe(false);
  for (const [index, text] of output.entries()) await appendCallOutput(db, id, index + 1, Buffer.from(text));
  await endCall(db, id, result);
  return call!.request;
}

async function answered(asked: Promise<Answer>, result: CallResult, output: string[] = []) {
  const [answer, request] = await Promise.all([asked, work(result, output)]);
  return { answer, request };
}

const rows = () => api.connection.sql`select 1 as one from job_calls where job_id = ${jobId}`;

describe('exec', () => {
  const exec = (command: string) => anna.request('POST', `/jobs/${jobId}/exec?command=${encodeURIComponent(command)}`);

  test('hands words to a worker and gives back what it wrote', async () => {
    const { answer, request } = await answered(exec('ls,-la,a b'), exited(2), ['one\n', 'zwei ☃\n']);
    expect(request).toMatchObject({ kind: 'exec', argv: ['ls', '-la', 'a b'] });
    expect(answer).toMatchObject({ status: 200, text: 'one\nzwei ☃\n' });
    expect(answer.headers.get('x-exit-code')).toBe('2');
    expect(answer.headers.get('content-type')).toBe('text/plain; charset=utf-8');
  });

  test('takes words with commas as JSON', async () => {
    const asked = anna.post(`/jobs/${jobId}/exec`, { command: ['echo', 'a,b', ''] });
    expect((await answered(asked, exited(0))).request).toMatchObject({ argv: ['echo', 'a,b', ''] });
  });

  test('leaves no row behind, and tells Temporal nothing but an id', async () => {
    const { answer } = await answered(exec('echo,secret'), exited(0), ['secret']);
    expect(answer.text).toBe('secret');
    expect(await rows()).toEqual([]);
    const told = await api.connection.sql`
      select target, payload from outbox where kind = 'startCall' and target like ${`job-${jobId}-call-%`}`;
    expect(told).toEqual([{ target: expect.any(String), payload: { callId: expect.any(String) } }]);
    expect(JSON.stringify(told)).not.toContain('secret');
  });

  test('tells why it was not possible', async () => {
    const refused: CallResult = { kind: 'refused', detail: 'no task of the job has started yet' };
    expect((await answered(exec('ls'), refused)).answer).toMatchObject({
      status: 400,
      json: { error: 'no task of the job has started yet' },
    });
    expect((await answered(exec('ls'), { kind: 'broken', detail: 'cable cut' })).answer).toMatchObject({
      status: 503,
      json: { error: "The job's machine did not answer: cable cut" },
    });
    expect(await rows()).toEqual([]);
  });

  test.each([
    ['?command=', undefined],
    ['', undefined],
    ['?command=,ls', undefined],
    ['', { command: [] }],
    ['', { command: ['ls', 1] }],
    ['', { command: 'ls' }],
    ['', ['ls']],
  ])('needs a command: %s %j', async (query, body) => {
    expect(await anna.post(`/jobs/${jobId}/exec${query}`, body)).toMatchObject({
      status: 400,
      json: { error: 'A command to execute must be specified' },
    });
  });

  test('refuses commands that could not be passed on', async () => {
    for (const word of ['a\0b', 'x'.repeat(70_000)]) {
      expect((await anna.post(`/jobs/${jobId}/exec`, { command: ['echo', word] })).status).toBe(400);
    }
  });

  test('is limited in number', async () => {
    await api.connection.sql`
      insert into job_calls (job_id, attempt, request) select ${jobId}, 1, '{"kind":"exec"}'::jsonb from generate_series(1, 8)`;
    expect((await exec('ls')).status).toBe(429);
    // Those that nobody waits for any more don't count, and go.
    await api.connection.sql`update job_calls set created_at = now() - interval '2 hours' where job_id = ${jobId}`;
    await answered(exec('ls'), exited(0));
    expect(await rows()).toEqual([]);
  });
});

describe('snapshot', () => {
  const path = (text: string) => `/jobs/${jobId}/snapshot?path=${encodeURIComponent(text)}`;
  const made: CallResult = { kind: 'uploaded', sizeBytes: 10 };

  test('is made by a worker, and each has a place of its own', async () => {
    const first = await answered(anna.put(path('a/b c')), made);
    expect(first.request).toEqual({ kind: 'snapshot', path: 'a/b c' });
    expect(first.answer).toMatchObject({ status: 200, json: {} });
    const urlOf = async (query = '') => (await anna.get(`/jobs/${jobId}/snapshot${query}`)).json.url as string;
    const firstUrl = (await urlOf()).split('?')[0];
    await answered(anna.put(path('other')), made);
    expect((await urlOf()).split('?')[0]).not.toBe(firstUrl);
    expect((await urlOf('?path=a%2Fb%20c')).split('?')[0]).toBe(firstUrl);
    // What was made outlives the job.
    await finish(api.connection, jobId);
    expect((await urlOf('?path=a%2Fb%20c')).split('?')[0]).toBe(firstUrl);
  });

  test('may be of what is mounted', async () => {
    expect((await answered(anna.put(path('/mnt/in')), made)).request).toEqual({ kind: 'snapshot', path: 'set' });
  });

  test('that fails leaves the one before', async () => {
    expect((await anna.get(`/jobs/${jobId}/snapshot`)).json.error).toBe('There is no snapshot of this job yet');
    const refused: CallResult = { kind: 'refused', detail: 'there is no x in the scratch directory' };
    const { answer } = await answered(anna.put(path('x')), refused);
    expect(answer).toMatchObject({ status: 400, json: { error: 'there is no x in the scratch directory' } });
    expect((await anna.get(`/jobs/${jobId}/snapshot`)).status).toBe(400);
    expect(await rows()).toEqual([]);
  });

  test.each([
    '/etc/passwd',
    '/mnt/in/a',
    '/mnt',
    '/home/user',
    '..',
    '../x',
    'a/../../b',
    'a/..',
    'a\0b',
    'a\nb',
    'x'.repeat(1025),
  ])('%j is not a path in the job', async (text) => {
    expect(await anna.put(path(text))).toMatchObject({ status: 400, json: { error: 'Invalid path' } });
    expect((await anna.get(path(text))).status).toBe(400);
  });

  test('needs a path', async () => {
    for (const each of [`/jobs/${jobId}/snapshot`, path('')]) {
      expect(await anna.put(each)).toMatchObject({
        status: 400,
        json: { error: 'A path to snapshot must be specified' },
      });
    }
  });
});

describe('who may', () => {
  const all = (client: Client, id: number | string) =>
    Promise.all([
      client.request('POST', `/jobs/${id}/exec?command=ls`),
      client.put(`/jobs/${id}/snapshot?path=a`),
      client.get(`/jobs/${id}/snapshot`),
    ]);

  test('only the owner, while the job runs', async () => {
    // One name begins with the other, and both are in the same group.
    for (const other of [await api.as(`${owner}x`, 'lab'), await api.as(owner.slice(0, -1), 'lab', owner)]) {
      for (const answer of await all(other, jobId)) {
        expect(answer).toMatchObject({ status: 403, json: { error: 'Not authorized to access this job' } });
      }
    }
    for (const id of [2147483647, '99999999999999999999']) {
      for (const answer of await all(anna, id)) {
        expect(answer).toMatchObject({ status: 400, json: { error: 'Job does not exist' } });
      }
    }
    const pending = (await anna.post('/jobs', job())).json.id as number;
    await finish(api.connection, jobId);
    for (const id of [pending, jobId]) {
      for (const answer of await all(anna, id)) {
        expect(answer).toMatchObject({ status: 400, json: { error: 'Job is not running' } });
      }
    }
    expect(await rows()).toEqual([]);
  });

  test('a job looks into itself and what it submitted', async () => {
    const sign = jobTokenSigner(signingKey);
    const token = await sign({ username: owner, groups: ['lab'], job: jobId, attempt: 1 }, 60);
    const inside = clientOf(api.app, { Authorization: `Bearer ${token}` });
    const [child, other] = [await runningJob(inside), await runningJob(anna)];
    const ask = (id: number) => inside.request('POST', `/jobs/${id}/exec?command=ls`);
    for (const id of [jobId, child]) {
      const [answer] = await Promise.all([ask(id), work(exited(0), ['seen'], id)]);
      expect(answer).toMatchObject({ status: 200, text: 'seen' });
    }
    const refused = { status: 403, json: { error: 'The token of a job may change only what that job submitted' } };
    expect(await ask(other)).toMatchObject(refused);
    expect(await inside.put(`/jobs/${other}/snapshot?path=a`)).toMatchObject(refused);
    expect((await inside.get(`/jobs/${other}/snapshot`)).json.error).toBe('There is no snapshot of this job yet');
  });
});
