import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createJob, finish, idsOf, job, startApi, type Client, type TestApi } from './api.ts';

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

describe('GET /jobs', () => {
  test('lists the queue oldest first, with what a list shows', async () => {
    const [first, second] = [await createJob(anna, { name: 'a' }), await createJob(anna)];
    const { json } = await anna.get('/jobs?num=1');
    expect(json).toEqual([
      {
        id: first,
        name: 'a',
        status: 'pending',
        tasks: [{ image: 'busybox', runtime: 'singularity', cmd: 'date' }],
        events: { createTime: expect.any(Number) },
      },
      expect.objectContaining({ id: second, name: '' }),
    ]);
  });

  test('shows finished jobs only where they were asked for or kept', async () => {
    const [done, kept, open] = [
      await createJob(anna),
      await createJob(anna, { policies: { leaveInQueue: true } }),
      await createJob(anna),
    ];
    await finish(api.connection, done);
    await finish(api.connection, kept, 'failed');
    expect(await idsOf(anna, '/jobs')).toEqual([kept, open]);
    expect(await idsOf(anna, '/jobs?completed=true')).toEqual([kept]);
    expect(await idsOf(anna, '/jobs?completed=true&num=5')).toEqual([kept, done]);
    expect(await idsOf(anna, '/jobs?completed=true&num=0')).toEqual([]);
    for (const query of ['num=abc', 'completed=true&num=1.5', 'all=true&num=', 'status=running&num=x']) {
      for (const noun of ['jobs', 'workflows']) {
        const answer = await anna.get(`/${noun}?${query}`);
        expect(answer, query).toMatchObject({ status: 400, json: { error: expect.stringMatching(/^num must be/) } });
      }
    }
    expect(await idsOf(anna, '/jobs?completed=true&num=-1')).toEqual([kept, done]);
    expect(await idsOf(anna, '/jobs?completed=no')).toEqual([kept, open]);
    expect(await idsOf(anna, '/jobs?num=1&all=true')).toEqual([kept, done, open]);
    expect(await idsOf(anna, `/jobs?id=${done},${open},99999999999`)).toEqual([done, open]);
    expect(await idsOf(anna, '/jobs?id=2147483648')).toEqual([]);
    expect(await idsOf(anna, `/jobs?id=${done}&workflow=true&num=-1`)).toEqual([]);
  });

  test('filters by status, where idle is pending', async () => {
    const [waiting, running] = [await createJob(anna), await createJob(anna)];
    await api.connection.sql`update jobs set status = 'running', started_at = now() where id = ${running}`;
    expect(await idsOf(anna, '/jobs?status=idle&all')).toEqual([waiting]);
    expect(await idsOf(anna, '/jobs?status=pending')).toEqual([waiting]);
    expect(await idsOf(anna, '/jobs?status=running')).toEqual([running]);
    expect(await anna.get('/jobs?status=sleeping')).toMatchObject({
      status: 400,
      json: { error: 'invalid status specified' },
    });
  });

  test('filters by success, whatever became of the job', async () => {
    const [good, bad, lost] = [await createJob(anna), await createJob(anna), await createJob(anna)];
    await createJob(anna);
    await api.connection.sql`
      update jobs set status = case when id = ${lost} then 'failed' else 'completed' end, succeeded = (id = ${good}),
        in_queue = false, ended_at = now() where id = any(${[good, bad, lost]})`;
    expect(await idsOf(anna, '/jobs?succeeded=true')).toEqual([good]);
    expect(await idsOf(anna, '/jobs?succeeded=false&completed=true&num=1')).toEqual([lost, bad]);
    expect(await idsOf(anna, `/jobs?succeeded=false&id=${good},${bad}&detail`)).toEqual([bad]);
    expect(await anna.get('/jobs?succeeded=no')).toMatchObject({
      status: 400,
      json: { error: 'succeeded must be true or false' },
    });
  });

  test('filters by all constraints, in both spellings, and by name', async () => {
    const both = await createJob(anna, { labels: { app: 'pi', run: '1' }, name: 'x' });
    const one = await createJob(anna, { labels: { app: 'pi' } });
    expect(await idsOf(anna, '/jobs?constraint=app%3Dpi')).toEqual([both, one]);
    expect(await idsOf(anna, '/jobs?constraint=app%3Dpi&constraint=run:1')).toEqual([both]);
    expect(await idsOf(anna, '/jobs?constraint=app%3Dpi&constraint=app%3Dother')).toEqual([]);
    expect(await idsOf(anna, '/jobs?name=x')).toEqual([both]);
    for (const wrong of ['app', 'app%3D', '%3Dpi', 'a%3Db%3Dc', '']) {
      const answer = await anna.get(`/jobs?constraint=${wrong}`);
      expect(answer).toMatchObject({ status: 400, json: { error: 'Invalid constraint' } });
    }
  });

  test.each(['completed=true&num=many', 'id=one', 'id=', 'name=a%00b', 'constraint=a%3D%00'])(
    'answers 400 to ?%s',
    async (query) => {
      const { status, json } = await anna.get(`/jobs?${query}`);
      expect({ status, error: typeof json.error }).toEqual({ status: 400, error: 'string' });
    },
  );

  test.each(['unknown=1', 'name=%FF', '&&=', 'name=%'])('does not mind ?%s', async (query) => {
    expect((await anna.get(`/jobs?${query}`)).status).toBe(200);
  });

  test('gives details when they are asked for', async () => {
    const id = await createJob(anna, { labels: { a: 'b' } });
    expect((await anna.get('/jobs?detail')).json).toMatchObject([{ id, labels: { a: 'b' }, resources: { nodes: 1 } }]);
  });

  test('goes through every page of a long list', async () => {
    await api.connection.sql`
      insert into jobs (id, owner, submitted, description, temporal_id)
      select id, ${`anna${counter}`}, '{"tasks":[]}', '{}', 'many-' || id
      from (select nextval('ids')::int as id from generate_series(1, 1234)) as fresh`;
    const ids = await idsOf(anna, '/jobs?all');
    expect(ids).toHaveLength(1234);
    expect(ids).toEqual([...ids].sort((a, b) => a - b));
  });
});

describe('GET /jobs/<id>', () => {
  test('tells what became of notifications, beside what was submitted; the whole can be submitted again', async () => {
    const hook = (url: string) => ({ type: 'webhook', url, secret: 'a secret of sixteen or more' });
    const notifications = ['https://a.example', 'https://b.example', 'https://c.example'].map(hook);
    const id = await createJob(anna, { notifications });
    const workflow = (await anna.post('/workflows', { jobs: [job({ name: 'a' })], notifications })).json.id as number;
    const before = (await anna.get(`/jobs/${id}`)).json[0];
    expect(before).not.toHaveProperty('notificationStates');
    for (const subject of [id, workflow]) {
      await api.connection.sql`
        insert into notifications (subject_id, position, state, attempts, detail, changed_at) values
        (${subject}, 0, 'delivered', 2, 'the address answered 500', to_timestamp(1700000000)),
        (${subject}, 1, 'givenUp', 1, 'b.example is not a public address', to_timestamp(1700000000))`;
      const path = subject === id ? 'jobs' : 'workflows';
      for (const query of [`/${path}/${subject}`, `/${path}?id=${subject}&detail=true`]) {
        const [shown] = (await anna.get(query)).json as Record<string, unknown>[];
        expect(shown!['notificationStates']).toEqual([
          { position: 0, state: 'delivered', attempts: 2, time: 1700000000 },
          {
            ...{ position: 1, state: 'givenUp', attempts: 1, time: 1700000000 },
            reason: 'b.example is not a public address',
          },
        ]);
        expect((shown!['notifications'] as unknown[]).length).toBe(3);
      }
    }
    const {
      id: _id,
      name: _name,
      status: _status,
      events: _events,
      ...again
    } = (await anna.get(`/jobs/${id}`)).json[0];
    again.notifications = notifications;
    expect((await anna.post('/jobs', again)).status).toBe(201);
  });

  test('tells everything that was submitted, without secrets', async () => {
    const id = await createJob(anna, {
      tasks: [{ image: 'reg/x', runtime: 'singularity', imagePullCredential: { username: 'u', token: 'secret' } }],
      resources: { cpus: 1, memory: 1.5 },
      inputs: [{ filename: 'a.txt', content: 'aGk=' }],
      artifacts: [{ url: 'http://x/data.tgz', mountpoint: 'data:/data' }],
      outputFiles: ['out/r.txt'],
      outputDirs: ['plots'],
      policies: { priority: 3 },
      labels: { app: 'pi' },
    });
    const { status, text, json } = await anna.get(`/jobs/${id}?all=true`);
    expect(status).toBe(200);
    expect(text).not.toContain('secret');
    expect(json).toEqual([
      {
        id,
        name: '',
        status: 'pending',
        events: { createTime: expect.any(Number) },
        tasks: [{ image: 'reg/x', runtime: 'singularity', imagePullCredential: { username: 'u', token: '***' } }],
        resources: { nodes: 1, cpus: 1, memory: 1.5 },
        inputs: [{ filename: 'a.txt', content: 'aGk=' }],
        artifacts: [{ url: 'http://x/data.tgz', mountpoint: 'data:/data' }],
        outputFiles: [{ name: 'out/r.txt', url: '' }],
        outputDirs: [{ name: 'plots', url: '' }],
        policies: { priority: 3 },
        labels: { app: 'pi' },
      },
    ]);
    expect((await anna.get('/jobs')).text).not.toContain('secret');
    const [row] = await api.connection.sql`select submitted from jobs where id = ${id}`;
    expect(row?.['submitted'].tasks[0].imagePullCredential.token).toBe('secret');
  });

  test('offers the outputs of the current attempt, and tells the attempts there were', async () => {
    const id = await createJob(anna, { outputFiles: ['r.txt'], outputDirs: ['plots'] });
    const { sql } = api.connection;
    const [machine] = await sql`
      insert into machines (site, name, cpus, memory, disk, free_cpus, free_memory, free_disk)
      values ('local', ${`m${id}`}, 1, 1, 1, 1, 1, 1) returning id`;
    await sql`
      insert into attempts (job_id, attempt, site, machine_id, ended_at, outcome, detail)
      values (${id}, 1, 'local', ${machine?.['id']}, now(), 'machineLost', 'gone'), (${id}, 2, 'local', ${machine?.['id']}, null, null, null)`;
    await sql`
      insert into outputs (job_id, attempt, kind, name, object_key, size)
      values (${id}, 1, 'file', 'r.txt', 'stale', 1), (${id}, 2, 'file', 'r.txt', 'scratch/u/2/r.txt', 5000000000)`;
    await sql`
      update jobs set attempt = 2, status = 'running', started_at = now(), status_reason = 'Job was evicted',
        status_detail = 'why', execution = '{"site":"local","tasks":[{"exitCode":0}]}' where id = ${id}`;
    const [described] = (await anna.get(`/jobs/${id}`)).json;
    expect(described).toMatchObject({
      statusReason: 'Job was evicted',
      statusDetail: 'why',
      outputFiles: [{ name: 'r.txt', size: 5_000_000_000, url: expect.stringContaining('scratch/u/2/r.txt') }],
      outputDirs: [{ name: 'plots', url: '' }],
      execution: {
        site: 'local',
        runtimeVersion: {},
        tasks: [{ exitCode: 0 }],
        attempts: [
          {
            attempt: 1,
            site: 'local',
            machine: `m${id}`,
            outcome: 'machineLost',
            detail: 'gone',
            endedAt: expect.any(Number),
          },
          { attempt: 2 },
        ],
      },
      events: { startTime: expect.any(Number) },
    });
  });

  test("says nothing of what is not there, or is someone else's", async () => {
    const id = await createJob(ben);
    for (const path of [`/jobs/${id}`, '/jobs/2147483647', '/jobs/99999999999999999999', '/jobs/0']) {
      expect(await anna.get(path)).toMatchObject({ status: 200, json: [] });
    }
    expect(await idsOf(anna, `/jobs?id=${id}`)).toEqual([]);
  });
});
