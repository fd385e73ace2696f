/** What Temporal refuses or lost, what comes in another order than it was meant, and settings at their smallest. */
import { cpus } from 'node:os';
import { kill } from 'node:process';
import { Client, Connection as TemporalConnection } from '@temporalio/client';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { connect, type Connection } from '../../../db/connection.ts';
import { noopJob } from '../../ground/noop-stack.ts';
import { eventually } from '../../ground/rest.ts';
import { runningStack, shellJob, type RunningStack } from '../../ground/running-stack.ts';
import { WorkflowRest } from './workflow-rest.ts';

let running: RunningStack;
let workflows: WorkflowRest;
let connection: Connection;
let temporal: TemporalConnection;

beforeAll(async () => {
  running = await runningStack({
    execution: { benchmarkRuntime: true, killGraceSeconds: 1, imageRefreshMinutes: 0 },
    worker: { concurrentHostActivities: 1, concurrentCalls: 1, concurrentTransfers: 1 },
  });
  workflows = new WorkflowRest(running.rest);
  connection = connect(running.stack.databaseUrl, { poolSize: 2 });
  temporal = await TemporalConnection.connect({ address: running.stack.temporalAddress });
});
afterAll(async () => {
  await temporal?.close();
  await connection?.close();
  await running?.stop();
});

it('runs containers with one slot of each kind, and with images that are never new enough', async () => {
  const id = await running.rest.submit(shellJob('echo here'));
  expect(await running.rest.ended(id)).toMatchObject({ status: 'completed' });
  expect(await running.rest.output(id)).toBe('here\n');
});

it('starts jobs while a command of a user holds all there is for commands', async () => {
  const busy = await running.rest.submit(shellJob('echo ready; until [ -e over ]; do sleep 0.2; done'));
  await eventually(
    async () => ((await running.rest.output(busy)) === 'ready\n' ? true : undefined),
    () => 'the job did not begin',
  );
  const command = await running.rest.request('POST', `/jobs/${busy}/exec`, {
    command: ['sh', '-c', 'echo began; until [ -e over ]; do sleep 0.2; done'],
  });
  const output = command.body!.pipeThrough(new TextDecoderStream()).getReader();
  expect(await output.read()).toMatchObject({ value: 'began\n' });
  const another = await running.rest.submit(shellJob('echo here'));
  expect(await running.rest.ended(another)).toMatchObject({ status: 'completed' });
  expect(await running.rest.describe(busy)).toMatchObject({ status: 'running' });
  await output.cancel();
  const over = await running.rest.request('POST', `/jobs/${busy}/exec`, { command: ['touch', 'over'] });
  expect(over.status).toBe(200);
  await over.text();
  expect(await running.rest.ended(busy)).toMatchObject({ status: 'completed' });
});

it('starts what has more labels than Temporal can be told', async () => {
  const labels = Object.fromEntries(Array.from({ length: 60 }, (_, index) => [`name${index}`, 'ß'.repeat(200)]));
  const job = await running.rest.submit(noopJob('labelled', '', { labels }));
  const workflow = await workflows.submit({ name: 'labelled', labels, jobs: [noopJob('one')] });
  expect(await running.rest.ended(job)).toMatchObject({ status: 'completed' });
  expect(await workflows.ended(workflow)).toMatchObject({ status: 'completed' });
});

it('goes on with everything else when Temporal refuses a whole batch', async () => {
  await connection.sql`
    insert into outbox (kind, target, payload)
    select 'startCall', repeat('too long ', 200) || number, '{}' from generate_series(1, 100) as number`;
  const id = await running.rest.submit(noopJob('behind them'));
  expect(await running.rest.ended(id)).toMatchObject({ status: 'completed' });
  const [row] = await connection.sql`select count(*)::int as left, min(due_at) > now() as later from outbox`;
  expect(row).toEqual({ left: 100, later: true });
  await connection.sql`delete from outbox`;
});

it('deletes a workflow whose deletion was sent before its start', async () => {
  const worker = running.stack.children.worker!.pid!;
  kill(worker, 'SIGSTOP');
  let id: number;
  try {
    id = await workflows.submit({ name: 'late', jobs: [noopJob('one'), noopJob('two')] });
    await connection.sql.begin(async (sql) => {
      // As another sender has it, which is slow.
      await sql`select id from outbox where kind = 'startWorkflow' for update`;
      kill(worker, 'SIGCONT');
      await workflows.delete(id);
      await eventually(
        async () => {
          const [row] = await connection.sql`select count(*)::int as left from outbox where kind = 'deleteWorkflow'`;
          return row!['left'] === 0 ? true : undefined;
        },
        () => 'the deletion was never sent',
      );
    });
  } finally {
    kill(worker, 'SIGCONT');
  }
  expect(await workflows.ended(id)).toMatchObject({ status: 'deleted', progress: { done: 0 } });
  expect((await workflows.jobs(id)).map(({ status }) => status)).toEqual(['deleted', 'deleted']);
});

it('ends what an operator terminated when it is deleted, and takes back what it held', async () => {
  const { workflow } = new Client({ connection: temporal });
  const resources = { nodes: 1, cpus: cpus().length, memory: 1, disk: 1 };
  const job = await running.rest.submit(shellJob('while true; do sleep 0.2; done', { resources }));
  await running.rest.until(job, ({ status }) => status === 'running');
  await workflow.getHandle(`job-${job}`).terminate('by a test');
  const dag = await workflows.submit({
    name: 'stuck',
    jobs: [noopJob('one', '', { resources }), noopJob('two', '', { resources })],
  });
  await workflows.until(dag, ({ status }) => status === 'running');
  const [row] = await connection.sql<{ id: string }[]>`select temporal_id as id from workflows where id = ${dag}`;
  await workflow.getHandle(row!.id).terminate('by a test');

  await workflows.delete(dag);
  expect(await workflows.ended(dag)).toMatchObject({ status: 'deleted' });
  await running.rest.request('DELETE', `/jobs/${job}`);
  expect(await running.rest.ended(job)).toMatchObject({ status: 'deleted' });
  const next = await running.rest.submit(shellJob('echo room', { resources }));
  expect(await running.rest.ended(next)).toMatchObject({ status: 'completed' });
});
