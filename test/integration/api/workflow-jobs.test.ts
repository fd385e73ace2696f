import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { issueToken } from '../../../api/auth/tokens.ts';
import { idsOf, job, signingKey, startApi, type Client, type TestApi } from './api.ts';
import { createWorkflow, finishWorkflow } from './workflows.ts';

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

describe('GET /jobs?workflow=true', () => {
  test('tells instances with exact parameters and the tasks of their template', async () => {
    const id = await createWorkflow(anna);
    const { json } = await anna.get(`/jobs?num=-1&id=${id}&workflow=true`);
    expect(json[1]).toEqual({
      id: id + 2,
      name: 'scan/point/1',
      workflowId: id,
      status: 'pending',
      parameters: { x: -2, tag: 'x-y' },
      tasks: [{ image: 'busybox', runtime: 'singularity', cmd: 'echo $x' }],
      events: { createTime: expect.any(Number) },
    });
    expect(json.map(({ name, parameters }: { name: string; parameters: unknown }) => [name, parameters])).toEqual([
      ['scan/point/0', { x: 0.5, tag: 'a b' }],
      ['scan/point/1', { x: -2, tag: 'x-y' }],
      ['scan/point/2', { x: 3, tag: '03' }],
      ['scan/point/3', { x: 1e-7, tag: 'ü' }],
      ['scan/merge', undefined],
    ]);
  });

  test('instances of a repeat have no parameters, but say so', async () => {
    const factories = [{ name: 'f', type: 'repeat', jobs: ['point'], number: 2 }];
    const id = await createWorkflow(anna, { factories });
    expect((await anna.get(`/jobs?id=${id}&workflow=true`)).json).toMatchObject([
      { name: 'scan/point/0', parameters: {} },
      { name: 'scan/point/1', parameters: {} },
      { name: 'scan/merge' },
    ]);
  });

  test('is about the first id, and what is in which state', async () => {
    const [one, two] = [await createWorkflow(anna), await createWorkflow(anna)];
    const jobs = (id: number) => [1, 2, 3, 4, 5].map((offset) => id + offset);
    const { sql } = api.connection;
    await sql`update jobs set status = 'completed', in_queue = false where id = any(${[one + 1, one + 2]})`;
    await sql`update jobs set status = 'running' where id = ${one + 3}`;
    const list = (query: string) => idsOf(anna, `/jobs?num=-1&id=${one},${two}&workflow=true${query}`);
    expect(await list('')).toEqual([one + 3, one + 4, one + 5]);
    expect(await list('&completed=true')).toEqual([one + 2, one + 1]);
    expect(await list('&all=true')).toEqual([one + 2, one + 1, one + 3, one + 4, one + 5]);
    expect(await list('&status=running')).toEqual([one + 3]);
    expect(await list('&status=idle')).toEqual([one + 4, one + 5]);
    expect(await list('&name=scan/merge')).toEqual([one + 5]);
    expect(await list('&name=merge')).toEqual([one + 5]);
    expect(await list('&name=point&all')).toEqual([one + 2, one + 1, one + 3, one + 4]);
    expect(await idsOf(anna, `/jobs?id=${two}&workflow=true&completed=true&num=1`)).toEqual([]);
    await finishWorkflow(api.connection, two, 'failed', ['merge']);
    expect(await idsOf(anna, `/jobs?id=${two}&workflow=true&succeeded=false`)).toEqual([two + 5]);
    expect(await idsOf(anna, `/jobs?id=${two}&workflow=true&completed=true&num=1`)).toEqual(jobs(two).reverse());
    expect(await idsOf(anna, `/jobs?id=${two}&workflow=false`)).toEqual([]);
  });

  test("lists nothing for a job, for nothing, and for someone else's", async () => {
    const plain = (await anna.post('/jobs', job())).json.id as number;
    const foreign = await createWorkflow(ben);
    for (const id of [plain, foreign, 2147483647, 99999999999]) {
      expect(await idsOf(anna, `/jobs?id=${id}&workflow=true&all`)).toEqual([]);
    }
    expect(await idsOf(anna, `/jobs?id=${foreign + 1}`)).toEqual([]);
    expect(await anna.get(`/jobs/${foreign + 1}`)).toMatchObject({ status: 200, json: [] });
  });
});

describe('jobs of workflows', () => {
  test('are listed like any other', async () => {
    const id = await createWorkflow(anna);
    const plain = (await anna.post('/jobs', job())).json.id as number;
    expect(await idsOf(anna, '/jobs')).toEqual([id + 1, id + 2, id + 3, id + 4, id + 5, plain]);
    expect(await idsOf(anna, `/jobs?id=${id + 2},${plain}`)).toEqual([id + 2, plain]);
    expect(await idsOf(anna, '/jobs?name=scan/point/2')).toEqual([id + 3]);
    const [shown] = (await anna.get(`/jobs/${plain}`)).json;
    expect(Object.keys(shown)).not.toEqual(expect.arrayContaining(['workflowId']));
  });

  test('are described from their template, with the outputs that were stored under names with parameters', async () => {
    const id = await createWorkflow(anna);
    const store = (jobId: number, kind: string, name: string) => api.connection.sql`
      insert into outputs (job_id, attempt, kind, name, object_key, size)
      values (${jobId}, 1, ${kind}, ${name}, ${`scratch/u/1/${encodeURIComponent(name)}`}, 7)`;
    await store(id + 2, 'file', 'out--2.txt');
    await store(id + 2, 'directory', 'run/x-y');
    await store(id + 3, 'file', 'out--2.txt');
    await api.connection.sql`update jobs set attempt = 1 where workflow_id = ${id}`;
    const [described] = (await anna.get(`/jobs/${id + 2}`)).json;
    expect(described).toMatchObject({
      name: 'scan/point/1',
      parameters: { x: -2, tag: 'x-y' },
      resources: { nodes: 1, cpus: 1, memory: 1, disk: 10 },
      tasks: [{ cmd: 'echo $x' }],
      outputFiles: [{ name: 'out-$x.txt', url: expect.stringContaining('out--2.txt'), size: 7 }],
      outputDirs: [{ name: 'run/$tag', url: expect.stringContaining('x-y'), size: 7 }],
    });
    expect((await anna.get(`/jobs/${id + 3}`)).json).toMatchObject([
      { outputFiles: [{ name: 'out-$x.txt', url: '' }], outputDirs: [{ name: 'run/$tag', url: '' }] },
    ]);
    const [, detailed] = (await anna.get(`/jobs?id=${id}&workflow=true&detail=true`)).json;
    expect(detailed).toMatchObject({ id: id + 2, outputFiles: [{ size: 7 }], resources: { cpus: 1 } });
  });

  test('a clone of an instance is a job of its own with the same parameters', async () => {
    const id = await createWorkflow(anna);
    const clone = await anna.put(`/jobs/${id + 2}/clone`);
    expect(clone.status).toBe(201);
    expect((await anna.get(`/jobs/${clone.json.id}`)).json).toMatchObject([
      { name: 'point', parameters: { x: -2, tag: 'x-y' }, tasks: [{ cmd: 'echo $x' }], outputFiles: [{ url: '' }] },
    ]);
    const other = await anna.put(`/jobs/${id + 5}/clone`);
    const [shown] = (await anna.get(`/jobs/${other.json.id}`)).json;
    expect(shown).toMatchObject({ name: 'merge', status: 'pending' });
    expect(shown).not.toHaveProperty('workflowId');
  });

  test('a hundred thousand of them come page by page', async () => {
    const id = await createWorkflow(anna);
    await api.connection.sql`
      insert into jobs (id, owner, name, workflow_id, step, instance, parameters, temporal_id)
      select nextval('ids')::int, ${`anna${counter}`}, 'scan/point/' || n, ${id}, 0, n, jsonb_build_object('x', n), 'bulk-' || n
      from generate_series(1, 100000) as n`;
    const response = await api.app.request(`/v1/jobs?id=${id}&workflow=true&num=-1&all=true`, {
      headers: {
        Authorization: `Bearer ${await issueToken(signingKey, { username: `anna${counter}`, expiresSeconds: 60 })}`,
      },
    });
    const pieces: Uint8Array[] = [];
    for await (const piece of response.body as unknown as AsyncIterable<Uint8Array>) pieces.push(piece);
    expect(Math.max(...pieces.map(({ length }) => length))).toBeLessThan(300_000);
    expect(JSON.parse(Buffer.concat(pieces).toString())).toHaveLength(100_005);
  });
});
