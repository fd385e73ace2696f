import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { uploadKey } from '../../../storage/keys.ts';
import { idsOf, startApi, type Client, type TestApi } from './api.ts';
import { createWorkflow, named, scan } from './workflows.ts';

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
  anna = await api.as(`anna${counter}`, 'lab');
  ben = await api.as(`ben${counter}`);
});

describe('POST /workflows', () => {
  test('leaves a workflow, its start and its jobs with ids in a row, and wakes the sender', async () => {
    const before = api.wakeUps();
    const id = await createWorkflow(anna);
    const { sql } = api.connection;
    expect(await sql`select kind, payload from outbox where target = ${`workflow-${id}`}`).toEqual([
      { kind: 'startWorkflow', payload: { workflowId: id } },
    ]);
    expect(await idsOf(anna, `/jobs?id=${id}&workflow=true`)).toEqual([1, 2, 3, 4, 5].map((offset) => id + offset));
    expect(api.wakeUps()).toBe(before + 1);
    const next = await createWorkflow(anna);
    expect(next).toBe(id + 6);
  });

  test('refuses more jobs than the server is set up for', async () => {
    const many = (number: number) => ({
      ...scan(),
      factories: [{ type: 'repeat', name: 'f', jobs: ['point'], number }],
    });
    expect(await anna.post('/workflows', many(200_001))).toMatchObject({
      status: 400,
      json: { error: 'a workflow may have at most 200000 jobs on this server, and this one has 200002' },
    });
  });

  test('refuses more than an owner may have stored, and nobody else for it', async () => {
    const id = await createWorkflow(anna);
    await api.connection.sql`update workflows set total = 20000000, status = 'failed' where id = ${id}`;
    const refused = {
      status: 400,
      json: { error: expect.stringMatching(/^your workflows have 20000000 jobs/) as string },
    };
    expect(await anna.post('/workflows', scan())).toMatchObject(refused);
    expect(await anna.put(`/workflows/${id}/clone`)).toMatchObject(refused);
    expect(await anna.put(`/workflows/${id}`)).toMatchObject(refused);
    expect(await createWorkflow(ben)).toBeGreaterThan(id);
  });

  test('tells the first problem in the words of upstream, and all of them beside it', async () => {
    expect(await anna.post('/workflows', { name: 'w', labels: 3 })).toMatchObject({
      status: 400,
      json: { error: 'a workflow must contain jobs', issues: [{ path: 'jobs' }, {}] },
    });
    expect(await anna.post('/workflows', scan({ dependencies: { merge: ['merge'] } }))).toMatchObject({
      status: 400,
      json: { error: 'dependencies must not contain a cycle: merge -> merge' },
    });
    expect((await anna.post('/workflows', 'null')).status).toBe(400);
  });

  test('refuses what can not be honoured yet, and says in which job', async () => {
    const jobs = [named('a'), named('b', { resources: { nodes: 2, cpus: 1, memory: 1 } })];
    expect(await anna.post('/workflows', { jobs })).toMatchObject({
      status: 400,
      json: { error: expect.stringMatching(/more than one node.*job "b"/) },
    });
    // That no e-mail is sent is told of it afterwards.
    const notifications = [{ event: 'workflowFinished' }];
    expect(await anna.post('/workflows', { jobs: [], notifications })).toMatchObject({ status: 201 });
  });

  test('takes what `describe -i` leaves in a document, and an empty list of jobs', async () => {
    const more = { statusReason: 'x', statusDetail: 'y', rerunOf: 3, deletionRequested: true };
    const resubmitted = await createWorkflow(anna, more);
    const [shown] = (await anna.get(`/workflows/${resubmitted}`)).json;
    expect(Object.keys(shown).filter((key) => key in more)).toEqual([]);
    const id = await createWorkflow(anna, { jobs: [], factories: [], dependencies: {} });
    expect((await anna.get(`/workflows/${id}`)).json).toMatchObject([{ jobs: [], progress: { total: 0 } }]);
  });

  test('registers 100,000 jobs while it answers, and lists them when they are there', async () => {
    const factories = [
      { name: 'f', type: 'parameterSweep', jobs: ['a'], parameters: [{ name: 'x', start: 1, end: 100_000, step: 1 }] },
    ];
    const answer = await anna.post('/workflows', { name: 'big', jobs: [named('a')], factories });
    expect(answer.status).toBe(201);
    // However many they are, a submit writes a few rows.
    expect([...(await api.connection.sql`select 1 from jobs where workflow_id = ${answer.json.id}`)]).toEqual([]);
    expect((await anna.get(`/workflows/${answer.json.id}`)).json).toMatchObject([
      { progress: { total: 100_000, done: 0, failed: 0, queued: 0, waiting: 100_000 } },
    ]);
    expect(await createWorkflow(anna)).toBe(answer.json.id + 100_001);
  });
});

describe('uploaded objects', () => {
  const store = (key: string) => api.store.folder.write(key, ReadableStream.from([Buffer.from('x')]));
  const withArtifact = (url: string, more: Record<string, unknown> = {}) =>
    scan({ jobs: [named('point', { artifacts: [{ url }] }), named('merge')], ...more });

  test('must exist, in every job', async () => {
    const jobs = [named('a'), named('b', { tasks: [{ image: 'no.tar', runtime: 'singularity', cmd: 'x' }] })];
    expect(await anna.post('/workflows', { jobs })).toMatchObject({
      status: 400,
      json: { error: 'Image no.tar does not exist' },
    });
    expect(await anna.post('/workflows', withArtifact('plain.tgz'))).toMatchObject({
      status: 400,
      json: { error: 'Artifact plain.tgz does not exist' },
    });
  });

  test('of templates are looked for under the names that the instances use', async () => {
    const sweep = (end: number) => ({
      factories: [
        {
          name: 'f',
          type: 'parameterSweep',
          jobs: ['point'],
          parameters: [
            { name: 'x', start: 1, end, step: 1 },
            { name: 'y', start: 1, end: 1000, step: 1 },
          ],
        },
      ],
    });
    for (const x of [1, 2]) await store(uploadKey.group({ group: 'lab', name: `data-${x}.tgz` }));
    const template = 'lab/data-${x}.tgz';
    expect((await anna.post('/workflows', withArtifact(template, sweep(2)))).status).toBe(201);
    expect(await anna.post('/workflows', withArtifact(template, sweep(3)))).toMatchObject({
      status: 400,
      json: { error: 'Artifact lab/data-3.tgz does not exist' },
    });
    expect(await ben.post('/workflows', withArtifact(template, sweep(2)))).toMatchObject({
      status: 400,
      json: { error: 'Artifact lab/data-1.tgz does not exist' },
    });
  });

  test('are looked for before all names are made', async () => {
    const artifacts = Array.from({ length: 1000 }, (_, i) => ({ url: `no-$x-${i}` }));
    const parameters = [{ name: 'x', start: 1, end: 100_000, step: 1 }];
    const factories = [{ name: 'f', type: 'parameterSweep', jobs: ['point'], parameters }];
    const begin = performance.now();
    expect(await anna.post('/workflows?dryrun', { jobs: [named('point', { artifacts })], factories })).toMatchObject({
      status: 400,
      json: { error: 'Artifact no-1-0 does not exist' },
    });
    // With all names made first, it was many times that.
    expect(performance.now() - begin).toBeLessThan(2000);
  });
});

describe('Idempotency-Key', () => {
  const post = (client: Client, body: unknown, key: string) =>
    client.post('/workflows', body, { 'Idempotency-Key': key });

  test('gives one workflow to many requests at the same moment', async () => {
    const answers = await Promise.all(Array.from({ length: 12 }, () => post(anna, scan(), 'same')));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201]));
    expect(new Set(answers.map(({ json }) => json.id as number)).size).toBe(1);
    expect(await idsOf(anna, '/workflows')).toHaveLength(1);
    expect(await idsOf(anna, '/jobs')).toHaveLength(5);
  });

  test('stands for the first workflow also after its uploads are gone', async () => {
    const own = uploadKey.own(`anna${counter}`, 'data.tgz');
    await api.store.folder.write(own, ReadableStream.from([Buffer.from('x')]));
    const body = scan({ jobs: [named('point', { artifacts: [{ url: 'data.tgz' }] }), named('merge')] });
    const first = await post(anna, body, 'k');
    expect(first.status).toBe(201);
    await api.store.delete(own);
    expect(await post(anna, body, 'k')).toMatchObject({ status: 201, json: { id: first.json.id } });
    expect((await post(anna, { ...body, name: 'other' }, 'k')).status).toBe(409);
    expect((await post(anna, body, 'another')).status).toBe(400);
  });

  test('is refused for another request, also for a job, and belongs to its owner', async () => {
    const first = await post(anna, scan(), 'k');
    expect((await post(anna, scan({ name: 'other' }), 'k')).status).toBe(409);
    expect((await anna.post('/jobs', named('a'), { 'Idempotency-Key': 'k' })).status).toBe(409);
    const other = await post(ben, scan(), 'k');
    expect(other.status).toBe(201);
    expect(other.json.id).not.toBe(first.json.id);
  });
});

describe('a dry run', () => {
  test('tells counts, order and examples, and submits nothing', async () => {
    const { status, json } = await anna.post('/workflows?dryrun', scan());
    expect(status).toBe(200);
    expect(json).toMatchObject({
      name: 'scan',
      total: 5,
      levels: [['point'], ['merge']],
      nodes: [
        { name: 'point', count: 4, level: 0, parents: [] },
        { name: 'merge', count: 1, level: 1, parents: ['point'] },
      ],
    });
    expect(json.nodes[0].instances).toHaveLength(4);
    expect(json.nodes[0].instances[1]).toEqual({
      instance: 1,
      name: 'scan/point/1',
      parameters: { x: -2, tag: 'x-y' },
      commands: ['echo -2'],
      outputFiles: ['out--2.txt'],
      outputDirs: ['run/x-y'],
    });
    expect(json.nodes[1]).not.toHaveProperty('instances');
    expect(await idsOf(anna, '/workflows')).toEqual([]);
    expect(await idsOf(anna, '/jobs')).toEqual([]);
  });

  test('has few examples of what is long', async () => {
    const tasks = [{ image: 'busybox', runtime: 'singularity', cmd: `echo $x ${`${'y'.repeat(7999)} `.repeat(100)}` }];
    const { text, json } = await anna.post(
      '/workflows?dryrun',
      scan({ jobs: [named('point', { tasks }), named('merge')] }),
    );
    expect(json.nodes[0]).toMatchObject({ count: 4 });
    expect(json.nodes[0].instances).toHaveLength(4);
    expect(text.length).toBeLessThan(4_000_000);
    const factories = [{ name: 'f', type: 'repeat', jobs: ['point', 'merge'], number: 300 }];
    const more = await anna.post(
      '/workflows?dryrun',
      scan({ jobs: [named('point', { tasks }), named('merge')], factories }),
    );
    expect(more.json.nodes.map(({ instances }: { instances: unknown[] }) => instances.length)).toEqual([4, 100]);
  });

  test('shows at most 100 of a step, and checks as a submit does', async () => {
    const factories = [{ name: 'f', type: 'repeat', jobs: ['point'], number: 300 }];
    const { json } = await anna.post('/workflows?dryRun=true', scan({ factories }));
    expect(json).toMatchObject({ total: 301, nodes: [{ count: 300 }, { count: 1 }] });
    expect(json.nodes[0].instances).toHaveLength(100);
    expect(await anna.post('/workflows?dryrun=true', {})).toMatchObject({
      status: 400,
      json: { error: 'a workflow must contain jobs' },
    });
    expect((await anna.post('/workflows?dryrun=false', scan())).status).toBe(201);
  });
});
