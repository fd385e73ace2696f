import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { submitJob } from '../../../db/submissions.ts';
import { parseJobDescription } from '../../../descriptions/job.ts';
import { uploadKey } from '../../../storage/keys.ts';
import { createJob, idsOf, job, startApi, type Client, type TestApi } from './api.ts';

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

describe('POST /jobs', () => {
  test('leaves a job, its start and its first event, and wakes the sender', async () => {
    const before = api.wakeUps();
    const id = await createJob(anna, { name: 'pi' });
    expect(await api.connection.sql`select kind, target, payload from outbox where target = ${`job-${id}`}`).toEqual([
      { kind: 'startJob', target: `job-${id}`, payload: { jobId: id } },
    ]);
    expect(await api.connection.sql`select kind from job_events where job_id = ${id}`).toEqual([{ kind: 'created' }]);
    expect(api.wakeUps()).toBe(before + 1);
  });

  test('tells the first problem in the words of upstream, and all of them beside it', async () => {
    expect(await anna.post('/jobs', {})).toMatchObject({
      status: 400,
      json: { error: 'a job must contain resources', issues: [{ path: 'resources' }, { path: 'tasks' }] },
    });
  });

  test('is not done by a dry run, which only workflows have', async () => {
    const refusal = { status: 400, json: { error: expect.stringMatching(/POST \/workflows\?dryrun$/) } };
    expect(await anna.post('/jobs?dryrun', job())).toMatchObject(refusal);
    expect(await idsOf(anna, '/jobs')).toEqual([]);
  });

  test('refuses what can not be honoured yet', async () => {
    const answer = await anna.post('/jobs', job({ resources: { nodes: 2, cpus: 1, memory: 1 } }));
    expect(answer.status).toBe(400);
    expect(answer.json.error).toMatch(/more than one node/);
  });

  test.each([
    ['not JSON', '{"a":', 400],
    ['nothing', '', 400],
    ['null', 'null', 400],
    ['a list', '[]', 400],
    ['a NUL in a name', JSON.stringify(job({ labels: { a: 'x\0' } })), 400],
    ['half a character', `{"tasks":[{"image":"\\ud800"}],"resources":{"cpus":1,"memory":1}}`, 400],
    ['bottomless nesting', `{"storage":${'['.repeat(200_000)}${']'.repeat(200_000)}}`, 400],
    ['a number beyond all bounds', JSON.stringify(job()).replace('"memory":1', '"memory":1e999'), 400],
    ['a prototype key', JSON.stringify(job()).replace('{"resources"', '{"__proto__":1,"resources"'), 400],
    ['more than the limit', JSON.stringify(job({ name: 'x'.repeat(1_100_000) })), 413],
  ])('answers JSON to %s', async (_what, body, status) => {
    const answer = await anna.post('/jobs', body);
    expect(answer.status).toBe(status);
    expect(answer.json.error).toEqual(expect.any(String));
  });

  test('answers no more than can be read to what is wrong in many places', async () => {
    const answer = await anna.post('/jobs', { ['x'.repeat(900_000)]: Array.from({ length: 1000 }, () => '\0') });
    expect(answer.status).toBe(400);
    expect(answer.text.length).toBeLessThan(200_000);
  });

  test('takes prototype names where names are free', async () => {
    const document = JSON.stringify(job()).replace('"cmd"', '"env":{"__proto__":"a","constructor":"b"},"cmd"');
    const { json } = await anna.post('/jobs', document);
    const [row] = await api.connection.sql`select description from jobs where id = ${json.id}`;
    expect(JSON.stringify(row?.['description'].tasks[0].env)).toBe('{"__proto__":"a","constructor":"b"}');
  });

  test.each(['text/xml', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x'])(
    'does not understand %s',
    async (type) => {
      expect((await anna.post('/jobs', job(), { 'Content-Type': type })).status).toBe(415);
    },
  );

  test('does not need a content type, and refuses compressed bodies', async () => {
    const body = new TextEncoder().encode(JSON.stringify(job()));
    expect((await anna.request('POST', '/jobs', { body })).status).toBe(201);
    const headers = { 'Content-Encoding': 'gzip' };
    expect((await anna.request('POST', '/jobs', { body, headers })).status).toBe(415);
  });

  test('registers a job started by an SDK client once', async () => {
    const parsed = parseJobDescription(job());
    if (parsed.kind !== 'valid') throw new Error('expected a valid description');
    const submission = { identity: { owner: 'sdk', groups: ['lab'] }, ...parsed, startedBy: `my-workflow-${counter}` };
    const first = await submitJob(api.connection.db, submission);
    expect(await submitJob(api.connection.db, submission)).toEqual(first);
    expect(await api.connection.sql`select 1 from outbox where payload->>'jobId' = ${String(first.id)}`).toEqual([]);
  });
});

describe('Idempotency-Key', () => {
  const post = (client: Client, body: unknown, key: string) => client.post('/jobs', body, { 'Idempotency-Key': key });

  test('gives one job to many requests at the same moment', async () => {
    const answers = await Promise.all(Array.from({ length: 24 }, () => post(anna, job(), 'same')));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201]));
    expect(new Set(answers.map(({ json }) => json.id as number)).size).toBe(1);
    expect(await idsOf(anna, '/jobs')).toHaveLength(1);
    const [row] = await api.connection
      .sql`select count(*)::int as n from outbox where target = ${`job-${answers[0]?.json.id}`}`;
    expect(row).toEqual({ n: 1 });
  });

  test('stands for the first job also after its uploads are gone', async () => {
    const own = uploadKey.own(`anna${counter}`, 'image.sif');
    await api.store.folder.write(own, ReadableStream.from([Buffer.from('x')]));
    const body = job({ tasks: [{ image: 'image.sif', runtime: 'singularity' }] });
    const first = await post(anna, body, 'k');
    expect(first.status).toBe(201);
    await api.store.delete(own);
    expect(await post(anna, body, 'k')).toMatchObject({ status: 201, json: { id: first.json.id } });
    expect((await post(anna, { ...body, name: 'other' }, 'k')).status).toBe(409);
    expect((await post(anna, body, 'another')).status).toBe(400);
  });

  test('does not look at the order of members, but at what they say', async () => {
    const first = await post(anna, { ...job(), name: 'a' }, 'k');
    const turned = Object.fromEntries(Object.entries({ ...job(), name: 'a' }).reverse());
    expect(await post(anna, turned, 'k')).toMatchObject({ status: 201, json: { id: first.json.id } });
    expect(await post(anna, job({ name: 'b' }), 'k')).toMatchObject({
      status: 409,
      json: { error: expect.any(String) },
    });
  });

  test('belongs to its owner', async () => {
    const one = await post(anna, job(), 'mine');
    const other = await post(ben, job({ name: 'other' }), 'mine');
    expect(other.status).toBe(201);
    expect(other.json.id).not.toBe(one.json.id);
  });

  test('has a bounded length', async () => {
    expect((await post(anna, job(), 'x'.repeat(255))).status).toBe(201);
    expect((await post(anna, job(), 'x'.repeat(256))).status).toBe(400);
  });
});
