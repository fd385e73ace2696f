/** Our own typed client against the API, over a socket. */
import type { AddressInfo } from 'node:net';
import { serve, type ServerType } from '@hono/node-server';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { issueToken } from '../../../api/auth/tokens.ts';
import { createClient, type Client } from '../../../client/client.ts';
import type { WorkflowDocument } from '../../../client/workflow-types.ts';
import { appendLogs } from '../../../db/logs.ts';
import { signingKey, startApi, type TestApi } from './api.ts';
import { finishWorkflow } from './workflows.ts';

let api: TestApi;
let server: ServerType;
let client: Client;

beforeAll(async () => {
  api = await startApi();
  const address = await new Promise<AddressInfo>((resolve) => {
    server = serve({ fetch: api.app.fetch, port: 0, hostname: '127.0.0.1' }, resolve);
  });
  const token = await issueToken(signingKey, { username: 'anna', expiresSeconds: 600 });
  client = createClient({ url: `http://127.0.0.1:${address.port}/v1`, token });
});
afterAll(async () => {
  await new Promise((resolve) => server.close(resolve));
  await api.close();
});

const job = (name: string) => ({
  name,
  resources: { nodes: 1, cpus: 1, memory: 1, disk: 10 },
  tasks: [{ image: 'busybox', runtime: 'singularity' as const, cmd: 'echo $x' }],
});
const sweep: WorkflowDocument = {
  name: 'sweep',
  jobs: [job('a/b'), job('end')],
  factories: [
    { name: 'f', jobs: ['a/b'], type: 'parameterSweep', parameters: [{ name: 'x', start: 0, end: 0.3, step: 0.1 }] },
  ],
  dependencies: { 'a/b': ['end'] },
};

test('a workflow from its dry run to its clone', async () => {
  const { workflows } = client;
  expect(await workflows.dryRun(sweep)).toMatchObject({ total: 5, levels: [['a/b'], ['end']] });
  const id = await workflows.submit(sweep, { idempotencyKey: 'once' });
  expect(await workflows.submit(sweep, { idempotencyKey: 'once' })).toBe(id);
  expect(await workflows.list({ name: 'sweep' })).toMatchObject([{ id, progress: { total: 5, waiting: 5 } }]);
  expect(await workflows.describe(id)).toMatchObject({ ...sweep, id, status: 'pending' });
  expect(await workflows.graph(id)).toMatchObject({ edges: [{ parent: 'a/b', child: 'end' }] });
  expect((await client.list({ ofWorkflow: id })).map(({ parameters }) => parameters)).toEqual([
    ...[0, 0.1, 0.2, 0.3].map((x) => ({ x })),
    undefined,
  ]);

  await appendLogs(api.connection.db, [
    { jobId: id + 3, attempt: 1, node: 0, stream: 'stderr', offset: 0, bytes: Buffer.from('wörld') },
  ]);
  expect(await workflows.cancel(id, { jobs: 'end', instances: 7 })).toBe(0);
  await expect(workflows.rerun(id)).rejects.toMatchObject({ name: 'ApiRefused', status: 400 });
  await finishWorkflow(api.connection, id, 'failed', ['end']);
  const partial = await workflows.rerun(id, { from: ['end'], status: 'failed' });
  expect(await workflows.describe(partial)).toMatchObject({ rerunOf: id, progress: { total: 5, done: 4, waiting: 1 } });
  expect(await workflows.cancel(partial, { status: ['pending'] })).toBe(1);
  const third = { workflowId: id, job: 'a/b', instance: 2 };
  expect((await workflows.stderr(third, { offsetBytes: 1 })).toString()).toBe('örld');
  expect((await workflows.stdout(third)).toString()).toBe('');

  const rerun = await workflows.rerun(id);
  expect(await workflows.describe(rerun)).toMatchObject({ rerunOf: id, progress: { done: 4, waiting: 1 } });
  const clone = await workflows.clone(id);
  await workflows.delete(rerun, clone);
  expect(await workflows.list({ completed: true, num: -1 })).toMatchObject([{ id, status: 'failed' }]);
  await expect(workflows.remove(id)).rejects.toThrow('Workflow is no longer in the queue');
  expect(await workflows.describe(id + 1)).toBeUndefined();
});
