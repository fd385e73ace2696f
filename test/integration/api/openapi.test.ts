import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { documentedPath } from '../../../api/openapi/document.ts';
import { webhookDocument } from '../../../notifications/webhook-document.ts';
import { finish, job, startApi, type TestApi } from './api.ts';

let api: TestApi;
// eslint-disable-next-line @typescript-eslint/no-explicit-any
let document: any;
beforeAll(async () => {
  const issuer = 'https://login.example.org';
  const claims = { owner: 'sub', groups: 'groups', email: 'email', entitlements: 'entitlements' };
  api = await startApi({ issuers: [{ issuer, audience: 'any', verify: 'jwks', claims }], login: { issuer } });
  document = (await api.anonymous.get('//openapi.json')).json;
});
afterAll(() => api.close());

test('every route there is says in the OpenAPI document what it does', () => {
  const aliases = /^\/(prominence\/v1|api\/v1)\//;
  const registered = new Set(
    api.app.routes
      .filter(({ method, path }) => method !== 'ALL' && !aliases.test(path))
      .map(({ method, path }) => `${method} ${documentedPath(path)}`),
  );
  expect(registered.size).toBeGreaterThan(25);
  const missing = [...registered].filter((route) => {
    const [method = '', path = ''] = route.split(' ');
    return document.paths[path]?.[method.toLowerCase()] === undefined;
  });
  expect(
    missing,
    'these routes say nothing of themselves: give `docs` for the method in their resource(...) call, or the last argument of route(...)',
  ).toEqual([]);
});

test('what a route says has all that a reader needs', () => {
  const ids = new Set<string>();
  for (const [path, methods] of Object.entries<Record<string, Record<string, unknown>>>(document.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const what = `${method} ${path}`;
      expect(operation['summary'], what).toMatch(/^[A-Z]/);
      expect(Object.keys(operation['responses'] as object), what).toContain('500');
      expect(ids.has(operation['operationId'] as string), what).toBe(false);
      ids.add(operation['operationId'] as string);
    }
  }
  const references = [...JSON.stringify(document).matchAll(/"#\/components\/schemas\/(\w+)"/g)].map(
    ([, name]) => name!,
  );
  expect(Object.keys(document.components.schemas)).toEqual(expect.arrayContaining(references));
  // Nothing is described that no route has.
  expect(references).toEqual(expect.arrayContaining(Object.keys(document.components.schemas)));
});

function problems(what: unknown, schema: object): string | undefined {
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  ajv.addSchema({ $id: 'api', components: document.components });
  const local = JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"api#/')) as object;
  return ajv.validate(local, what) ? undefined : `${ajv.errorsText()}: ${JSON.stringify(what)}`;
}
const expectValid = (what: unknown, schema: object) => expect(problems(what, schema)).toBeUndefined();

test('answers are as the document has them, and its examples are accepted', async () => {
  const answerOf = (path: string, method: string, status: number) =>
    document.paths[path][method].responses[status].content['application/json'].schema;

  const client = await api.as('anna');
  for (const name of ['JobDescription', 'WorkflowDescription']) {
    const path = name === 'JobDescription' ? '/jobs' : '/workflows';
    const [example] = document.components.schemas[name].examples;
    const created = await client.post(path, example);
    expect(created.status).toBe(201);
    expectValid(example, document.components.schemas[name]);
    expectValid(created.json, answerOf(`/v1${path}`, 'post', 201));
    expectValid((await client.get(path)).json, answerOf(`/v1${path}`, 'get', 200));
    expectValid((await client.get(`${path}/${created.json.id}`)).json, answerOf(`/v1${path}/{id}`, 'get', 200));
  }
  const { id } = (await client.post('/jobs', job({ outputFiles: ['out'], labels: { a: 'b' } }))).json;
  await finish(api.connection, id);
  expectValid((await client.get(`/jobs/${id}`)).json, answerOf('/v1/jobs/{id}', 'get', 200));
  expectValid((await client.post('/jobs', {})).json, answerOf('/v1/jobs', 'post', 400));
  expectValid((await api.anonymous.get('/jobs')).json, answerOf('/v1/jobs', 'get', 401));
});

test('limits are told as they are kept', async () => {
  const client = await api.as('anna');
  const sweepOf = (name: string) => ({
    jobs: [job({ name: 'a' })],
    factories: [{ name: 'f', type: 'zip', jobs: ['a'], parameters: [{ name, values: [1] }] }],
  });
  const labels = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, 'v']));
  for (const [path, description, isOne] of [
    ['/jobs', job({ labels: labels(100) }), true],
    ['/jobs', job({ labels: labels(101) }), false],
    ['/jobs', job({ artifacts: Array(1001).fill({ url: 'https://example.org' }) }), false],
    ['/jobs', job({ outputFiles: ['x'.repeat(2000)] }), true],
    ['/jobs', job({ outputFiles: ['x'.repeat(2001)] }), false],
    ['/workflows', sweepOf('x'.repeat(128)), true],
    ['/workflows', sweepOf('x'.repeat(129)), false],
  ] as const) {
    const schema = document.components.schemas[path === '/jobs' ? 'JobDescription' : 'WorkflowDescription'];
    const { status, json } = await client.post(path, description);
    expect(status === 201, JSON.stringify(json)).toBe(isOne);
    expect(problems(description, schema) === undefined, JSON.stringify(json)).toBe(isOne);
    if (!isOne) expectValid(json, document.paths[`/v1${path}`].post.responses[400].content['application/json'].schema);
  }
  const { json } = await client.post('/workflows?dryrun', sweepOf('x'));
  expectValid(json, document.paths['/v1/workflows'].post.responses[200].content['application/json'].schema);
});

test('notifications and selections are told as they are understood', async () => {
  const client = await api.as('anna');
  const { JobDescription, WorkflowDescription, JobSelection } = document.components.schemas;
  const hook = { type: 'webhook', url: 'https://example.org/hook', secret: 'a secret of sixteen or more' };
  for (const [notification, isOne] of [
    [hook, true],
    [{ ...hook, event: 'jobFinished' }, true],
    [{ ...hook, event: 'workflowFinished' }, false],
    [{ ...hook, url: 'ftp://example.org' }, false],
    [{ type: 'webhook' }, false],
    [{ ...hook, secret: 'short' }, false],
    [{ ...hook, type: 'email' }, false],
    [{ ...hook, more: 1 }, false],
  ] as const) {
    const description = job({ name: 'a', notifications: [notification] });
    expect((await client.post('/jobs', description)).status === 201, JSON.stringify(notification)).toBe(isOne);
    expect(problems(description, JobDescription) === undefined, JSON.stringify(notification)).toBe(isOne);
  }
  const workflow = { jobs: [job({ name: 'a' })], notifications: [{ ...hook, event: 'workflowFinished' }] };
  expectValid(workflow, WorkflowDescription);
  const { id } = (await client.post('/workflows', workflow)).json;
  expectValid((await client.get(`/workflows/${id}`)).json[0], document.components.schemas.WorkflowDetail);

  const stillBeingMade = 'the jobs of the workflow are still being made: try again in a few seconds';
  for (const [selection, isOne] of [
    [{ jobs: 'a', instances: '0-9,12' }, true],
    [{ from: ['a'], instances: 3, status: ['pending', 'failed'] }, true],
    [{ jobs: [] }, false],
    [{ status: 'idle' }, false],
    [{ instances: -1 }, false],
    [{ instances: Array(1000).fill(7).join(',') }, true],
    [{ instances: Array(1001).fill(7).join(',') }, false],
    [{ job: 'a' }, false],
  ] as const) {
    const { status, json } = await client.request('PUT', `/workflows/${id}/cancel`, {
      body: JSON.stringify(selection),
      headers: { 'Content-Type': 'application/json' },
    });
    expect(status === 200 || json.error === stillBeingMade, JSON.stringify(selection)).toBe(isOne);
    expect(problems(selection, JobSelection) === undefined, JSON.stringify(selection)).toBe(isOne);
  }
});

test('what webhooks are told is as the document has it', () => {
  const facts = {
    ...{ id: 1, uid: 'u', owner: 'ann', name: 'n', labels: { app: 'a' }, status: 'failed' as const },
    ...{ statusReason: 'r', statusDetail: null, createdAt: new Date(0), startedAt: null, endedAt: new Date(1000) },
  };
  const told = [
    {
      ...facts,
      ...{ about: 'job' as const, workflowId: 1, parameters: { x: 1 }, execution: { tasks: [{ exitCode: 1 }] } },
      hasOutputs: false,
    },
    { ...facts, about: 'workflow' as const, counts: { total: 6, done: 3, failed: 1, skipped: 2, deleted: null } },
  ].map((ended) => webhookDocument(ended, 'https://api.example.org/v1'));
  for (const what of told) {
    const { requestBody } = document.webhooks[what['type'] as string].post;
    expectValid(what, requestBody.content['application/json'].schema);
  }
});

test('the page to browse it is whole without any other server', async () => {
  const page = await api.anonymous.get('//docs');
  expect(page.headers.get('content-type')).toMatch(/^text\/html/);
  expect(page.text).not.toMatch(/https?:\/\//);
  const parts = [...page.text.matchAll(/(?:src|href)="(\/[^"]+)"/g)].map(([, path]) => path!);
  expect(parts).toHaveLength(3);
  for (const path of parts) {
    const part = await api.anonymous.get(`/${path}`);
    expect(part.status, path).toBe(200);
    expect(part.headers.get('content-security-policy')).toMatch(/^default-src 'self'/);
  }
});
