/**
 * How the time of an answer grows towards the documented limits: one thread serves everybody, so no request may take the
 * square of what it brings or asks for. Each route is asked at its limit and at a quarter of it, in the same run.
 */
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { jobTokenSigner } from '../../../activities/job-token.ts';
import { limits } from '../../../descriptions/limits.ts';
import { clientOf, createJob, job, signingKey, startApi, type Answer, type Client, type TestApi } from './api.ts';

let api: TestApi;
let counter = 0;

beforeAll(async () => {
  api = await startApi({ maxBodyBytes: 16_777_216, maximumJobsPerWorkflow: 1_000_000 });
});
afterAll(() => api.close());

type Ask = () => Promise<Answer>;

interface Case {
  /** As the OpenAPI document has it. */
  route: string;
  what: string;
  limit: number;
  /** For an owner of its own. */
  prepare: (user: User, n: number) => Promise<Ask>;
  /** What it changes can be asked for once. */
  isOnce?: true;
}

interface User {
  name: string;
  client: Client;
}

const asJson = { 'Content-Type': 'application/json' };
const list = <T>(n: number, entry: (i: number) => T): T[] => Array.from({ length: n }, (_, i) => entry(i));
const names = (n: number, prefix = 'results/of/a/run/number-') => list(n, (i) => `${prefix}${i}`);

/** Of the job, as if its run had delivered them all. */
async function published(id: number): Promise<void> {
  const { sql } = api.connection;
  await sql`update jobs set status = 'completed', attempt = 1, started_at = now(), ended_at = now(), succeeded = true where id = ${id}`;
  await sql`
    insert into outputs (job_id, attempt, kind, name, object_key, size)
    select ${id}, 1, kind, name, 'scratch/x/1/' || name, 7 from (
      select 'file' as kind, jsonb_array_elements_text(description->'outputFiles') as name from jobs where id = ${id}
      union all
      select 'directory', jsonb_array_elements_text(description->'outputDirs') from jobs where id = ${id}
    ) as named`;
}

async function workflow(client: Client, document: Record<string, unknown>): Promise<number> {
  const answer = await client.post('/workflows', document);
  expect(answer, answer.text.slice(0, 500)).toMatchObject({ status: 201 });
  return answer.json.id as number;
}

const manyJobs = (n: number) => ({ name: 'w', jobs: list(n, (i) => job({ name: `j${i}` })) });
/** Each waits for the hundred before it. */
const dense = (n: number) => ({
  ...manyJobs(n),
  dependencies: Object.fromEntries(
    list(n - 1, (i) => [`j${i}`, list(Math.min(100, n - 1 - i), (step) => `j${i + step + 1}`)]),
  ),
});
const manyFactories = (n: number) => ({
  ...manyJobs(n),
  factories: list(n, (i) => ({
    name: `f${i}`,
    type: 'parameterSweep',
    jobs: [`j${i}`],
    parameters: [{ name: 'x', start: 1, end: 2, step: 1 }],
  })),
});
const sweep = (n: number, template: Record<string, unknown> = {}) => ({
  name: 'sweep',
  jobs: [job({ name: 'point', ...template })],
  factories: [
    { name: 'f', type: 'parameterSweep', jobs: ['point'], parameters: [{ name: 'x', start: 1, end: n, step: 1 }] },
  ],
});
const task = { image: 'busybox', runtime: 'singularity', cmd: 'date' };

/** A running job's own token. */
async function inside(
  { name, client }: User,
  changes: Record<string, unknown> = {},
): Promise<{ id: number; own: Client }> {
  const id = await createJob(client, changes);
  await api.connection.sql`update jobs set status = 'running', attempt = 1, started_at = now() where id = ${id}`;
  const token = await jobTokenSigner(signingKey)({ username: name, groups: [], job: id, attempt: 1 }, 3600);
  return { id, own: clientOf(api.app, { Authorization: `Bearer ${token}` }) };
}

const cases: Case[] = [
  {
    route: 'GET /jobs/{id}',
    what: 'outputs',
    limit: limits.outputFiles.most,
    async prepare({ client }, n) {
      const id = await createJob(client, { outputFiles: names(n), outputDirs: names(n, 'folder-') });
      await published(id);
      return () => client.get(`/jobs/${id}`);
    },
  },
  {
    route: 'GET /jobs',
    what: 'outputs, in detail',
    limit: limits.outputFiles.most,
    async prepare({ client }, n) {
      for (const _ of [1, 2]) await published(await createJob(client, { outputFiles: names(n) }));
      return () => client.get('/jobs?all&detail');
    },
  },
  {
    route: 'POST /jobs',
    what: 'outputs below mountpoints',
    limit: limits.outputFiles.most,
    async prepare({ client }, n) {
      const deep = `/mnt/${'deeper/'.repeat(30)}`;
      const artifacts = list(limits.mountpoints.most, (i) => ({
        url: `https://example.org/${i}`,
        mountpoint: `source${i}:${deep}${i}`,
      }));
      const outputFiles = names(n, `${deep}99/`);
      return () => client.post('/jobs', job({ artifacts, outputFiles, outputDirs: names(n, `${deep}98/`) }));
    },
  },
  {
    route: 'POST /jobs',
    what: 'tasks, inputs, artifacts and variables',
    limit: limits.tasks.most,
    async prepare({ client }, n) {
      const env = Object.fromEntries(list(100, (i) => [`VARIABLE_${i}`, 'x']));
      const document = job({
        tasks: list(n, (i) => ({ ...task, env, cmd: `run "${i}" '${'a b '.repeat(200)}'` })),
        inputs: list(n, (i) => ({ filename: `in${i}`, content: 'eA==' })),
        artifacts: list(n, (i) => ({ url: `https://example.org/${i}` })),
        labels: Object.fromEntries(list(limits.labels.most, (i) => [`label${i}`, 'x'.repeat(500)])),
        notifications: list(limits.notifications.most, () => ({
          type: 'webhook',
          url: 'https://example.org/hook',
          secret: 'a secret that is long',
        })),
      });
      return () => client.post('/jobs', document);
    },
  },
  {
    route: 'GET /jobs/{id}',
    what: 'tasks and inputs',
    limit: limits.tasks.most,
    async prepare({ client }, n) {
      const document = {
        tasks: list(n, () => ({ ...task, cmd: 'x'.repeat(2000) })),
        inputs: list(n, (i) => ({ filename: `in${i}`, content: 'A'.repeat(2000) })),
      };
      const id = await createJob(client, document);
      return () => client.get(`/jobs/${id}`);
    },
  },
  {
    route: 'PUT /jobs/{id}/clone',
    what: 'outputs',
    limit: limits.outputFiles.most,
    async prepare({ client }, n) {
      const id = await createJob(client, { outputFiles: names(n) });
      return () => client.put(`/jobs/${id}/clone`);
    },
  },
  {
    route: 'POST /data/output',
    what: 'outputs',
    limit: limits.outputFiles.most,
    async prepare(user, n) {
      const { own } = await inside(user, { outputFiles: names(n) });
      return () => own.post('/data/output', { name: names(n).at(-1)!.split('/').pop() });
    },
  },
  {
    route: 'GET /jobs',
    what: 'jobs of a workflow',
    limit: 20_000,
    async prepare({ client }, n) {
      const id = await workflow(client, sweep(1000));
      // As its first activity would.
      await api.connection.sql`
        insert into jobs (owner, name, temporal_id, workflow_id, step, instance, parameters)
        select owner, name || g, 'copy-' || ${id}::int || '-' || g, workflow_id, step, 1000 + g, parameters
        from jobs, generate_series(1, ${n}::int) as g where jobs.id = ${id + 1}`;
      return () => client.get(`/jobs?workflow=true&id=${id}`);
    },
  },
  {
    route: 'DELETE /jobs',
    what: 'ids',
    limit: 4000,
    async prepare({ client }, n) {
      const first = (await createJob(client)) + 1;
      for (let i = 0; i < 3; i += 1) await client.post('/workflows', manyJobs(10));
      await api.connection.sql`
        insert into jobs (owner, name, temporal_id, submitted, description)
        select owner, name, temporal_id || '-copy-' || g, submitted, description from jobs, generate_series(1, ${n}::int) as g
        where jobs.id = ${first - 1}`;
      const ids = await api.connection.sql<{ id: number }[]>`
        select id from jobs where id >= ${first} and owner = (select owner from jobs where id = ${first - 1})`;
      return () => client.delete(`/jobs?id=${ids.map(({ id }) => id).join(',')}`);
    },
  },
  {
    route: 'GET /jobs/{id}/stdout',
    what: 'pieces',
    limit: 8000,
    async prepare({ client }, n) {
      const id = await createJob(client);
      await api.connection.sql`update jobs set attempt = 1 where id = ${id}`;
      await api.connection.sql`
        insert into job_logs (job_id, attempt, node, stream, byte_offset, byte_length, bytes)
        select ${id}, 1, 0, 'stdout', g * 100, 100, convert_to(repeat('x', 100), 'utf8') from generate_series(0, ${n}::int - 1) as g`;
      return () => client.get(`/jobs/${id}/stdout`);
    },
  },
  {
    route: 'POST /workflows',
    what: 'jobs by name, each after a hundred others',
    limit: limits.jobs.most,
    async prepare({ client }, n) {
      return () => client.post('/workflows', dense(n));
    },
  },
  {
    route: 'POST /workflows',
    what: 'factories',
    limit: limits.factories.most,
    async prepare({ client }, n) {
      return () => client.post('/workflows', manyFactories(n));
    },
  },
  {
    route: 'POST /workflows',
    what: 'jobs in a dry run',
    limit: 1_000_000,
    async prepare({ client }, n) {
      return () => client.post('/workflows?dryrun', sweep(n));
    },
  },
  {
    route: 'POST /workflows',
    what: 'long names of artifacts that factories make',
    limit: 3000,
    async prepare({ client }, n) {
      const document = {
        jobs: [job({ name: 'a', artifacts: [{ url: `$x/${'a'.repeat(1_000_000)}` }] })],
        factories: [
          {
            name: 'f',
            type: 'zip',
            jobs: ['a'],
            parameters: [{ name: 'x', values: list(n, (i) => `http://example.org/${i}`) }],
          },
        ],
      };
      return () => client.post('/workflows?dryrun', document);
    },
  },
  {
    route: 'GET /workflows/{id}',
    what: 'jobs by name',
    limit: limits.jobs.most,
    async prepare({ client }, n) {
      const id = await workflow(client, manyFactories(n));
      return () => client.get(`/workflows/${id}`);
    },
  },
  {
    route: 'GET /workflows',
    what: 'jobs by name, in detail',
    limit: limits.jobs.most,
    async prepare({ client }, n) {
      for (const _ of [1, 2]) await workflow(client, manyFactories(n));
      return () => client.get('/workflows?all&detail');
    },
  },
  {
    route: 'GET /workflows/{id}/graph',
    what: 'dependencies',
    limit: limits.jobs.most,
    async prepare({ client }, n) {
      const id = await workflow(client, dense(n));
      return () => client.get(`/workflows/${id}/graph`);
    },
  },
  {
    route: 'GET /workflows/{id}/{job}/stdout',
    what: 'jobs by name',
    limit: limits.jobs.most,
    async prepare({ client }, n) {
      const id = await workflow(client, manyJobs(n));
      return () => client.get(`/workflows/${id}/j${n - 1}/stdout`);
    },
  },
  {
    route: 'PUT /workflows/{id}/clone',
    what: 'jobs by name',
    limit: limits.jobs.most,
    async prepare({ client }, n) {
      const id = await workflow(client, dense(n));
      return () => client.put(`/workflows/${id}/clone`);
    },
  },
  {
    route: 'PUT /workflows/{id}',
    what: 'ranges of instances to run again',
    limit: 1000,
    async prepare({ client }, n) {
      const id = await workflow(client, sweep(1000));
      await api.connection.sql`update jobs set status = 'completed', succeeded = false where workflow_id = ${id}`;
      const body = { instances: list(n, (i) => `${i}-${i}`).join(','), jobs: list(n * 100, () => 'point') };
      return () => client.request('PUT', `/workflows/${id}`, { body: JSON.stringify(body), headers: asJson });
    },
  },
  {
    route: 'PUT /workflows/{id}/cancel',
    what: 'jobs',
    limit: 1000,
    async prepare({ client }, n) {
      const id = await workflow(client, sweep(n));
      const body = { instances: list(n, (i) => `${i}`).join(',') };
      return () => client.request('PUT', `/workflows/${id}/cancel`, { body: JSON.stringify(body), headers: asJson });
    },
  },
  {
    route: 'GET /kv',
    what: 'keys',
    limit: 10_000,
    async prepare({ name, client }, n) {
      await fillKeys(name, n);
      return () => client.get('/kv?values');
    },
  },
  {
    route: 'DELETE /kv/{key}',
    what: 'keys',
    limit: 10_000,
    isOnce: true,
    async prepare({ name, client }, n) {
      await fillKeys(name, n);
      return () => client.delete('/kv/a?prefix');
    },
  },
  {
    route: 'POST /kv/{key}',
    what: 'keys that are there',
    limit: 9_990,
    async prepare({ name, client }, n) {
      await fillKeys(name, n);
      let i = 0;
      return () => client.request('POST', `/kv/new${(i += 1)}`, { body: 'x' });
    },
  },
  {
    route: 'GET /ts/{id}',
    what: 'values',
    limit: 10_000,
    async prepare({ client }, n) {
      const id = await createJob(client);
      await api.connection.sql`
        insert into job_points (job_id, measurement, field, tags, value)
        select ${id}, 'm', 'f', jsonb_build_object('t', (g % 3000)::text), to_jsonb(g) from generate_series(1, ${n}::int) as g`;
      return () => client.get(`/ts/${id}`);
    },
  },
  {
    route: 'POST /ts',
    what: 'values that are there',
    limit: 9_990,
    async prepare(user, n) {
      const { id, own } = await inside(user);
      await api.connection.sql`
        insert into job_points (job_id, measurement, field, tags, value)
        select ${id}, 'm', 'f', '{}', to_jsonb(g) from generate_series(1, ${n}::int) as g`;
      return () => own.post('/ts', { measurement: 'm', fields: { f: 1 } });
    },
  },
  {
    route: 'GET /data',
    what: 'uploads',
    limit: 1000,
    async prepare({ name, client }, n) {
      for (const each of names(n, 'u')) {
        await api.store.folder.write(`uploads/users/${name}/${each}`, Readable.from([Buffer.from('x')]));
      }
      return () => client.get('/data');
    },
  },
  {
    route: 'GET /accounting',
    what: 'jobs',
    limit: 20_000,
    async prepare({ client }, n) {
      const id = await createJob(client);
      await api.connection.sql`
        insert into jobs (owner, name, temporal_id, submitted, description, status, started_at, ended_at)
        select owner, name, temporal_id || '-copy-' || g, submitted, description, 'completed', now(), now()
        from jobs, generate_series(1, ${n}::int) as g where jobs.id = ${id}`;
      return () => client.get('/accounting?start=2020-01-01&end=2100-01-01');
    },
  },
];

/** They bring little, and look at one row, or at what the installation is like. */
const constant = new Set([
  'GET /',
  'GET /openapi.json',
  'GET /docs',
  'GET /health',
  'DELETE /jobs/{id}',
  'PUT /jobs/{id}/remove',
  // The same function as for stdout.
  'GET /jobs/{id}/stderr',
  'GET /workflows/{id}/{job}/stderr',
  // The machine's work.
  'POST /jobs/{id}/exec',
  'PUT /jobs/{id}/snapshot',
  'GET /jobs/{id}/snapshot',
  'POST /data',
  'POST /data/upload',
  'GET /data/{path}',
  'DELETE /data/{path}',
  'DELETE /workflows',
  'DELETE /workflows/{id}',
  'PUT /workflows/{id}/remove',
  'GET /kv/{key}',
  'GET /resources',
  'GET /quotas',
  'POST /token',
  // For operators.
  'GET /operators/bars',
  'PUT /operators/bars/{kind}/{name}',
  'DELETE /operators/bars/{kind}/{name}',
  'POST /codec/encode',
  'POST /codec/decode',
  'GET /codec/session',
  'POST /codec/session/open',
  'GET /docs/swagger-ui.css',
  'GET /docs/swagger-ui-bundle.js',
  'GET /docs/start.js',
]);

async function fillKeys(owner: string, n: number): Promise<void> {
  await api.connection.sql`
    insert into key_values (owner, key, value)
    select ${owner}, 'a/key/' || g, convert_to(repeat('x', 1000), 'utf8') from generate_series(1, ${n}::int) as g`;
}

/** The best of some: others use the machine too. */
async function secondsOf({ isOnce }: Case, ask: Ask): Promise<number> {
  let best = Infinity;
  for (let i = 0; i < (isOnce ? 1 : 2); i += 1) {
    const began = performance.now();
    const { status, text } = await ask();
    best = Math.min(best, (performance.now() - began) / 1000);
    expect(status, text.slice(0, 300)).toBeLessThan(400);
    if (best < 0.1) break;
  }
  return best;
}

describe('a quarter of what is allowed takes no less than a sixth of the time', () => {
  test.each(cases)('$route: $limit $what', async (each) => {
    const ofOwner = async (n: number) => {
      const name = `user${(counter += 1)}`;
      return each.prepare({ name, client: await api.as(name) }, n);
    };
    const askQuarter = await ofOwner(Math.ceil(each.limit / 4));
    const askWhole = await ofOwner(each.limit);
    let [quarter, whole, most] = [Infinity, Infinity, 0];
    // What is measured beside other work may be wrong once; the square of something is there each time.
    for (let i = 0; i < (each.isOnce ? 1 : 4) && whole >= most; i += 1) {
      quarter = Math.min(quarter, await secondsOf(each, askQuarter));
      whole = Math.min(whole, await secondsOf(each, askWhole));
      most = 6 * quarter + 0.25;
    }
    if (process.env['TEST_TIMES']) console.log(each.route, each.what, quarter.toFixed(3), whole.toFixed(3));
    // What takes no time at all is no matter, whatever it grows like.
    expect(whole).toBeLessThan(most);
    expect(whole).toBeLessThan(20);
  });

  test('every route is among these, or does nothing that could grow', async () => {
    const { json } = await api.anonymous.get('//openapi.json');
    const routes = Object.entries(json.paths as Record<string, Record<string, unknown>>).flatMap(([path, methods]) =>
      Object.keys(methods)
        .filter((method) => ['get', 'put', 'post', 'delete'].includes(method))
        .map((method) => `${method.toUpperCase()} ${path.replace(/^\/v1(?=\/)/, '')}`),
    );
    const known = new Set([...constant, ...cases.map(({ route }) => route)]);
    expect(routes.filter((route) => !known.has(route))).toEqual([]);
  });
});
