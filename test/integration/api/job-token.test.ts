import { createSecretKey } from 'node:crypto';
import { Readable } from 'node:stream';
import { decodeJwt, SignJWT } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { jobTokenSigner } from '../../../activities/job-token.ts';
import { issueToken } from '../../../api/auth/tokens.ts';
import type { JobTokenSubject } from '../../../domain/job-token.ts';
import { clientOf, createJob, finish, job, signingKey, startApi, type Client, type TestApi } from './api.ts';

let api: TestApi;
let anna: Client;
let owner: string;
/** A running job of anna's, and who asks with its token. */
let jobId: number;
let inside: Client;
let counter = 0;

const sign = jobTokenSigner(signingKey);
const withToken = (token: string) => clientOf(api.app, { Authorization: `Bearer ${token}` });
const asJob = async (changes: Partial<JobTokenSubject> = {}, walltimeSeconds = 60): Promise<Client> =>
  withToken(await sign({ username: owner, groups: ['lab'], job: jobId, attempt: 1, ...changes }, walltimeSeconds));
const run = (id: number) =>
  api.connection.sql`update jobs set status = 'running', attempt = 1, started_at = now() where id = ${id}`;

beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.close());
beforeEach(async () => {
  counter += 1;
  owner = `anna${counter}`;
  anna = await api.as(owner, 'lab');
  jobId = await createJob(anna, { outputFiles: ['results/out.txt', '$x'], outputDirs: ['plots'] });
  await run(jobId);
  inside = await asJob();
});

const refused = { status: 401, json: { error: 'Authentication failure' } };
const over = { status: 401, json: { ...refused.json, detail: 'the run of the job that it was made for is over' } };
const notItsOwn = { status: 403, json: { error: 'The token of a job may change only what that job submitted' } };
const closed = { status: 403, json: { error: 'The token of a job can not be used for this' } };

describe('the sign-in that a job stems from', () => {
  const ends = async (id: number, table: 'jobs' | 'workflows' = 'jobs'): Promise<number> => {
    const { sql } = api.connection;
    const [row] = await sql<{ ends: number }[]>`
      select extract(epoch from sign_in_ends)::float8 as ends from ${sql(table)} where id = ${id}`;
    return row!.ends;
  };
  const inDays = (days: number) => Date.now() / 1000 + days * 24 * 3600;

  test('is that of the token, or some days where it ends before, and what the job submits inherits it', async () => {
    expect(Math.abs((await ends(jobId)) - inDays(7))).toBeLessThan(60);
    const long = await issueToken(signingKey, { username: owner, expiresSeconds: 30 * 24 * 3600 });
    const own = await createJob(withToken(long));
    expect(Math.abs((await ends(own)) - inDays(30))).toBeLessThan(60);

    await api.connection.sql`update jobs set sign_in_ends = now() + interval '1 hour' where id = ${jobId}`;
    const end = await ends(jobId);
    const child = await createJob(inside);
    const clone = (await inside.put(`/jobs/${jobId}/clone`)).json.id as number;
    const workflow = (await inside.post('/workflows', { jobs: [job({ name: 'a' })] })).json.id as number;
    expect([await ends(child), await ends(clone), await ends(workflow, 'workflows')]).toEqual([end, end, end]);
    // A job of the workflow has that of the workflow, and so does what it submits.
    await run(workflow + 1);
    const grandchild = await createJob(await asJob({ job: workflow + 1 }));
    expect(await ends(grandchild)).toBe(end);
  });

  test('ends what its jobs submit, whoever of them does, and nothing else that they do', async () => {
    const child = await createJob(inside);
    await run(child);
    await api.connection
      .sql`update jobs set sign_in_ends = now() - interval '1 minute' where id in (${jobId}, ${child})`;
    const error = expect.stringMatching(
      /^The sign-in that this job stems from ended at .*Z, so that it can submit nothing more: sign in/,
    );
    for (const client of [inside, await asJob({ job: child })]) {
      expect(await client.post('/jobs', job())).toMatchObject({ status: 403, json: { error } });
      expect(await client.post('/workflows', { jobs: [job({ name: 'a' })] })).toMatchObject({
        status: 403,
        json: { error },
      });
      expect(await client.put(`/jobs/${jobId}/clone`)).toMatchObject({ status: 403, json: { error } });
      expect(await client.put('/workflows/1')).toMatchObject({ status: 403, json: { error } });
      expect((await client.get('/jobs')).status).toBe(200);
      expect((await client.request('POST', '/kv/a', { body: 'x' })).status).toBe(201);
    }
    expect((await inside.post('/data/output', { name: 'results/out.txt' })).status).toBe(201);
    // The owner is signed in anew.
    await createJob(anna);
  });

  test('is some days after the submit where no token told it', async () => {
    await api.connection
      .sql`update jobs set sign_in_ends = null, created_at = now() - interval '6 days' where id = ${jobId}`;
    await createJob(inside);
    await api.connection.sql`update jobs set created_at = now() - interval '8 days' where id = ${jobId}`;
    expect((await inside.post('/jobs', job())).status).toBe(403);
  });
});

describe('the token of a job', () => {
  test('reads what its owner may, and keeps values', async () => {
    const other = await createJob(anna, { name: 'other' });
    expect((await inside.get('/jobs')).json.map(({ id }: { id: number }) => id)).toEqual([jobId, other]);
    expect((await inside.get(`/jobs/${other}`)).json).toMatchObject([{ name: 'other' }]);
    expect((await inside.get(`/jobs/${jobId}/stdout`)).status).toBe(200);
    for (const path of ['/workflows', '/data', '/data/lab', '/resources', '/kv', `/ts/${jobId}`]) {
      expect((await inside.get(path)).status, path).toBe(200);
    }
    expect((await inside.request('POST', '/kv/a/b', { body: 'x' })).status).toBe(201);
    expect((await anna.get('/kv/a/b')).text).toBe('x');
    expect((await inside.delete('/kv/a/b')).status).toBe(200);
    expect((await inside.post('/data/upload', { filename: 'in.txt' })).status).toBe(201);
  });

  test('submits in the name of its owner, and what it submitted is known', async () => {
    const submitted = await createJob(inside);
    const clone = (await inside.put(`/jobs/${jobId}/clone`)).json.id as number;
    const workflow = await inside.post('/workflows', { jobs: [job({ name: 'a' })] });
    expect(workflow.status).toBe(201);
    const { sql } = api.connection;
    expect(
      await sql`select id, owner, groups, submitted_by from jobs where id in (${submitted}, ${clone}) order by id`,
    ).toEqual([submitted, clone].map((id) => ({ id, owner, groups: ['lab'], submitted_by: jobId })));
    expect(await sql`select owner, submitted_by from workflows where id = ${workflow.json.id}`).toEqual([
      { owner, submitted_by: jobId },
    ]);
    expect(await sql`select submitted_by from jobs where id = ${jobId}`).toEqual([{ submitted_by: null }]);
  });

  test('deletes what the job submitted, and nothing else', async () => {
    const [mine, annas] = [await createJob(inside), await createJob(anna)];
    const workflow = (await inside.post('/workflows', { jobs: [job({ name: 'a' })] })).json.id as number;
    const annasWorkflow = (await anna.post('/workflows', { jobs: [job({ name: 'a' })] })).json.id as number;
    for (const path of [`/jobs/${annas}`, `/jobs/${jobId}`, `/jobs/${annasWorkflow + 1}`, '/jobs/123456']) {
      expect(await inside.delete(path)).toMatchObject(notItsOwn);
    }
    expect(await inside.delete(`/workflows/${annasWorkflow}`)).toMatchObject(notItsOwn);
    expect((await inside.delete(`/jobs?id=${annas},${mine},${jobId}`)).status).toBe(200);
    expect((await inside.delete(`/jobs/${workflow + 1}`)).status).toBe(200);
    expect((await inside.delete(`/workflows/${workflow}`)).status).toBe(200);
    const { sql } = api.connection;
    expect(
      await sql`select id from jobs where owner = ${owner} and (delete_requested_at is not null or status = 'deleted') order by id`,
    ).toEqual([{ id: mine }, { id: workflow + 1 }]);
    expect(await sql`select id from workflows where owner = ${owner} and delete_requested_at is not null`).toEqual([
      { id: workflow },
    ]);
    const stranger = await createJob(await api.as(`${owner}x`));
    expect(await inside.delete(`/jobs/${stranger}`)).toMatchObject(notItsOwn);
  });

  test('ends the keeping of what the job submitted, and of nothing else', async () => {
    const kept = { policies: { leaveInQueue: true } };
    const [mine, annas] = [await createJob(inside, kept), await createJob(anna, kept)];
    expect(await inside.put(`/jobs/${annas}/remove`)).toMatchObject(notItsOwn);
    expect((await inside.put(`/jobs/${mine}/remove`)).status).toBe(200);
    const workflow = (await anna.post('/workflows', { jobs: [job({ name: 'a' })], ...kept })).json.id as number;
    expect(await inside.put(`/workflows/${workflow}/remove`)).toMatchObject(notItsOwn);
  });

  test('opens what is listed here, and nothing else', async () => {
    type Operations = Record<string, Record<string, { 'x-job-token'?: string; security?: unknown[] }>>;
    const { paths } = (await (await api.app.request('/openapi.json')).json()) as { paths: Operations };
    const token = await sign({ username: owner, groups: [], job: jobId, attempt: 1 }, 60);
    const opened: string[] = [];
    for (const [path, operations] of Object.entries(paths)) {
      for (const [method, { 'x-job-token': use, security }] of Object.entries(operations)) {
        if (use) opened.push(`${method.toUpperCase()} ${path.replace('/v1', '')} ${use}`);
        else if (path.startsWith('/v1/') && !security) {
          const url = path.replace('{id}', String(jobId)).replace('{kind}', 'owners').replaceAll(/{\w+}/g, 'x');
          const headers = { Authorization: `Bearer ${token}` };
          const answer = await api.app.request(url, { method: method.toUpperCase(), headers });
          expect([method, path, answer.status, await answer.json()]).toEqual([method, path, 403, closed.json]);
        }
      }
    }
    expect(opened.sort()).toEqual(
      [
        'DELETE /jobs changes',
        'DELETE /jobs/{id} changes',
        'DELETE /kv/{key} changes',
        'DELETE /workflows changes',
        'DELETE /workflows/{id} changes',
        'GET /accounting reads',
        'GET /data reads',
        'GET /data/{path} reads',
        'GET /jobs reads',
        'GET /jobs/{id} reads',
        'GET /jobs/{id}/snapshot reads',
        'GET /jobs/{id}/stderr reads',
        'GET /jobs/{id}/stdout reads',
        'GET /kv reads',
        'GET /kv/{key} reads',
        'GET /quotas reads',
        'GET /resources reads',
        'GET /ts/{id} reads',
        'GET /workflows reads',
        'GET /workflows/{id} reads',
        'GET /workflows/{id}/graph reads',
        'GET /workflows/{id}/{job}/stderr reads',
        'GET /workflows/{id}/{job}/stdout reads',
        'POST /data changes',
        'POST /data/output changes',
        'POST /data/upload changes',
        'POST /jobs submits',
        'POST /jobs/{id}/exec changes',
        'POST /kv/{key} changes',
        'POST /ts changes',
        'POST /workflows submits',
        'PUT /jobs/{id}/clone submits',
        'PUT /jobs/{id}/remove changes',
        'PUT /jobs/{id}/snapshot changes',
        'PUT /workflows/{id} submits',
        'PUT /workflows/{id}/clone submits',
        'PUT /workflows/{id}/remove changes',
      ].sort(),
    );
  });

  test('gets no token and removes no uploads', async () => {
    expect(await inside.post('/token')).toMatchObject(closed);
    expect(await inside.delete('/data/a')).toMatchObject(closed);
    expect(await inside.delete('/data/lab/a')).toMatchObject(closed);
  });

  test('is good for an hour after the end of the job', async () => {
    const { sql } = api.connection;
    await finish(api.connection, jobId);
    expect((await inside.get('/jobs')).status).toBe(200);
    await sql`update jobs set ended_at = now() - interval '59 minutes' where id = ${jobId}`;
    expect((await inside.get('/jobs')).status).toBe(200);
    await sql`update jobs set ended_at = now() - interval '61 minutes' where id = ${jobId}`;
    expect(await inside.get('/jobs')).toMatchObject(over);
    expect(await inside.post('/token')).toMatchObject(over);
  });

  test('ends with the deletion of the job', async () => {
    await finish(api.connection, jobId);
    await api.connection.sql`update jobs set status = 'deleted' where id = ${jobId}`;
    expect(await inside.get('/jobs')).toMatchObject(over);
  });

  test('is good for its attempt only, and no longer than its time', async () => {
    const outlived = await asJob({}, -3601);
    expect(await outlived.get('/jobs')).toMatchObject(refused);
    await api.connection.sql`update jobs set attempt = 2, status = 'pending' where id = ${jobId}`;
    expect(await inside.get('/jobs')).toMatchObject(over);
    expect((await (await asJob({ attempt: 2 })).get('/jobs')).status).toBe(200);
  });

  test('can not be made up', async () => {
    const forged = jobTokenSigner('another key that is long enough to be one of those');
    const claims = { username: owner, groups: [], job: jobId, attempt: 1 };
    expect(await withToken(await forged(claims, 60)).get('/jobs')).toMatchObject(refused);
    // Names of users that begin with others' names, jobs of others, jobs that are none.
    for (const changes of [{ username: `${owner}x` }, { username: owner.slice(0, -1) }, { job: jobId + 1000 }]) {
      expect(await (await asJob(changes)).get('/jobs')).toMatchObject(refused);
    }
    const own = (more: Record<string, unknown>) =>
      new SignJWT({ username: owner, groups: [], ...more })
        .setProtectedHeader({ alg: 'HS256' })
        .setIssuer('prominence')
        .setExpirationTime('1h')
        .sign(createSecretKey(Buffer.from(signingKey)));
    for (const odd of ['1', null, 1.5, {}, true]) {
      expect(await withToken(await own({ job: odd, attempt: 1 })).get('/jobs')).toMatchObject(refused);
      expect(await withToken(await own({ job: jobId, attempt: odd })).get('/jobs')).toMatchObject(refused);
    }
    const token = await sign(claims, 60);
    const [header, payload, signature] = token.split('.') as [string, string, string];
    const decoded = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, unknown>;
    const { job: _job, ...person } = decoded;
    const changed = Buffer.from(JSON.stringify(person)).toString('base64url');
    const none = Buffer.from('{"alg":"none"}').toString('base64url');
    for (const bad of [`${header}.${changed}.${signature}`, `${none}.${payload}.`, `${header}.${payload}.`]) {
      expect(await withToken(bad).get('/jobs')).toMatchObject(refused);
    }
  });
});

describe('an output that a job puts itself', () => {
  const url = async (client: Client, name: unknown) => client.post('/data/output', { name });
  const shown = async () => (await anna.get(`/jobs/${jobId}`)).json[0] as Record<string, { name: string }[]>;

  test('is shown once it is there', async () => {
    const answer = await url(inside, 'results/out.txt');
    expect(answer).toMatchObject({ status: 201, json: { url: expect.stringContaining('out.txt') } });
    expect((await url(inside, 'plots.tgz')).json.url).toContain('plots.tgz');
    expect((await shown())['outputFiles']).toContainEqual({ name: 'results/out.txt', url: '' });
    const [row] = await api.connection.sql`select object_key from outputs where job_id = ${jobId} and kind = 'file'`;
    await api.store.folder.write(row!['object_key'] as string, Readable.from([Buffer.from('12345')]), {});
    expect((await shown())['outputFiles']).toContainEqual({
      name: 'results/out.txt',
      url: expect.stringMatching(/^http/),
      size: 5,
    });
    expect((await shown())['outputDirs']).toEqual([{ name: 'plots', url: '' }]);
  });

  test('is one of its description, under the name there or that of the object', async () => {
    for (const name of ['results/out.txt', 'out.txt', '$x', 'plots', 'plots.tgz']) {
      expect((await url(inside, name)).status, name).toBe(201);
    }
    for (const name of ['other', '../out.txt', 'results', '..', '/etc/passwd', 'a\u0000b', 'plots.tgz/..']) {
      expect((await url(inside, name)).status, name).toBe(400);
    }
    for (const name of [undefined, '', 7, null, ['a']]) {
      expect(await url(inside, name)).toMatchObject({ status: 400, json: { error: 'Name not specified' } });
    }
  });

  test("is a job's own affair, while it runs", async () => {
    expect(await url(anna, 'out.txt')).toMatchObject({
      status: 400,
      json: { error: expect.stringContaining('A JWT token is required') },
    });
    await finish(api.connection, jobId);
    expect(await url(inside, 'out.txt')).toMatchObject({ status: 400, json: { error: 'The job has ended' } });
  });
});

describe('time series', () => {
  const point = (more: Record<string, unknown> = {}) => ({ measurement: 'run', fields: { loss: 1 }, ...more });

  test('are written by a job and read by its owner', async () => {
    const tags = { host: 'a' };
    for (const [time, loss] of [
      [1_700_000_060, 3],
      [1_700_000_000, 1],
    ]) {
      expect(await inside.post('/ts', point({ time, fields: { loss, state: 'on' }, tags }))).toMatchObject({
        status: 201,
        json: {},
      });
    }
    await inside.post('/ts', point({ fields: { loss: 10 } }));
    const all = (await anna.get(`/ts/${jobId}`)).json as unknown[];
    const times = ['2023-11-14 22:13:20', '2023-11-14 22:14:20'];
    expect(all).toContainEqual({ measurement: 'run', field: 'loss', tags, times, values: [1, 3] });
    expect(all).toContainEqual({ measurement: 'run', field: 'state', tags, times, values: ['on', 'on'] });
    expect(all).toHaveLength(3);
    expect((await anna.get(`/ts/${jobId}?start=60`)).json).toMatchObject([{ values: [10], tags: {} }]);
    expect((await anna.get(`/ts/${jobId}?stop=60`)).json).toHaveLength(2);
    expect((await anna.get(`/ts/${jobId}?stop=60&mean`)).json).toEqual([
      { values: [2], measurement: 'run', field: 'loss', tags },
    ]);
  });

  test.each([
    [[], 'a time-series point must be a dict'],
    [{ x: 1, time: 'a' }, 'invalid item "x" in time-series point'],
    [{ time: 1.5 }, 'time must be an integer'],
    [{ time: '1' }, 'time must be an integer'],
    [{ time: 1e300 }, 'time must be an integer'],
    [{}, 'a measurement name must be specified'],
    [{ measurement: 1 }, 'the measurement name must be a string'],
    [{ measurement: 'm' }, 'fields are not specified'],
    [{ measurement: 'm', fields: {} }, 'fields are not specified'],
    [{ measurement: 'm', fields: [1] }, 'fields must be a dict'],
    [{ measurement: 'm', fields: { a: 1 }, tags: 'x' }, 'tags must be a dict'],
    [{ measurement: 'm', fields: { a: {} } }, 'the value of field "a" must be a number or string or boolean'],
    ['{"measurement":"m","fields":{"a":-1e400}}', 'the value of field "a" must be between -1e+300 and 1e+300'],
    [{ measurement: 'm', fields: { a: 1 }, tags: { t: 1 } }, 'the value of tag "t" must be a string'],
    ['{', 'The request body is not valid JSON'],
  ])('%j is not a point', async (body, error) => {
    expect(await inside.post('/ts', body)).toMatchObject({ status: 400, json: { error } });
  });

  test('are not written by people, nor read by others', async () => {
    expect(await anna.post('/ts', point())).toMatchObject({
      status: 400,
      json: { error: expect.stringContaining('A JWT token is required') },
    });
    const ben = await api.as(`${owner}x`, 'lab');
    expect((await ben.get(`/ts/${jobId}`)).status).toBe(403);
    expect(await anna.get('/ts/2147483647')).toMatchObject({ status: 400, json: { error: 'Job does not exist' } });
    expect((await anna.get(`/ts/${jobId}?start=-1`)).status).toBe(400);
    expect((await anna.get(`/ts/${jobId}?start=${'9'.repeat(30)}`)).status).toBe(200);
    expect((await inside.post('/ts', point({ measurement: 'a\u0000b' }))).status).toBe(400);
  });

  test('are limited in size', async () => {
    const fields = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`f${index}`, index]));
    await api.connection.sql`
      insert into job_points (job_id, measurement, field, value)
      select ${jobId}, 'm', 'f', '1'::jsonb from generate_series(1, 9950)`;
    expect((await inside.post('/ts', point({ fields }))).status).toBe(400);
    expect((await inside.post('/ts', point())).status).toBe(201);
    expect((await inside.post('/ts', point({ fields: { ...fields, more: 1 } }))).status).toBe(400);
    expect((await inside.post('/ts', point({ fields: { a: 'x'.repeat(1001) } }))).status).toBe(400);
  });
});

describe('POST /token', () => {
  test('gives a token for the same user, which gives no other', async () => {
    const { status, json } = await anna.post('/token');
    expect(status).toBe(201);
    const issued = withToken(json.token as string);
    expect((await issued.get(`/jobs/${jobId}`)).json).toMatchObject([{ id: jobId }]);
    expect((await issued.get('/data/lab')).status).toBe(200);
    expect((await issued.post('/token')).status).toBe(403);
    expect((await api.anonymous.post('/token')).status).toBe(401);
  });

  test('gives none that outlives the token of ours it is got with, and at most a day', async () => {
    const lifetime = async (expiresSeconds: number) => {
      const client = withToken(await issueToken(signingKey, { username: owner, expiresSeconds }));
      const { token, expiresIn } = (await client.post('/token')).json as { token: string; expiresIn: number };
      const { exp = 0, iat = 0 } = decodeJwt(token);
      expect(exp - iat).toBe(expiresIn);
      return expiresIn;
    };
    expect(await lifetime(600)).toBeLessThanOrEqual(600);
    expect(await lifetime(600)).toBeGreaterThan(500);
    expect(await lifetime(30 * 24 * 3600)).toBe(24 * 3600);
  });
});
