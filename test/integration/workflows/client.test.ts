/** Workflows through the client that users of upstream have, unmodified, with its exact texts. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runningStack, type RunningStack } from '../../ground/running-stack.ts';
import { findUpstreamClient, UpstreamClient, type ClientResult } from '../../ground/upstream-client.ts';
import * as documents from './documents.ts';
import { WorkflowRest } from './workflow-rest.ts';

let running: RunningStack;
let client: UpstreamClient;
let workflows: WorkflowRest;
let folder: string;

beforeAll(async () => {
  const programs = await findUpstreamClient();
  folder = mkdtempSync(join(tmpdir(), 'prominence-client-'));
  chmodSync(folder, 0o755);
  const site = { type: 'local' as const, name: 'local', cpus: 16, memoryGb: 64, diskGb: 1000 };
  running = await runningStack({
    sites: [{ ...site, workDirectory: join(folder, 'site') }],
    execution: { killGraceSeconds: 1 },
  });
  const { stack, rest } = running;
  workflows = new WorkflowRest(rest);
  const settings = { url: `${stack.apiUrl}/prominence/v1`, token: await stack.token('ann', ['science']), folder };
  client = new UpstreamClient(settings, programs);
});
afterAll(async () => {
  await running?.stop();
  if (folder) rmSync(folder, { recursive: true, force: true });
});

const success = (stdout: string): ClientResult => ({ exitCode: 0, stdout, stderr: '' });
const refusal = (message: string): ClientResult => ({ exitCode: 1, stdout: `Error: ${message}\n`, stderr: '' });

/** The id in the client's exact sentence. */
function createdId(result: ClientResult): number {
  const id = Number(/^Workflow created with id (\d+)\n$/.exec(result.stdout)?.[1]);
  expect(result).toEqual(success(`Workflow created with id ${id}\n`));
  return id;
}

async function run(document: Record<string, unknown>): Promise<number> {
  client.write('workflow.json', JSON.stringify(document));
  return createdId(await client.run('run', 'workflow.json'));
}

/** What stands under each heading, without the blanks that fill it up. */
async function table(...words: string[]): Promise<Record<string, string>[]> {
  const { exitCode, stdout } = await client.run('list', ...words);
  expect(exitCode).toBe(0);
  const [head = '', ...lines] = stdout.split('\n').filter((line) => line !== '');
  const columns = [...head.matchAll(/\S+/g)].map(({ 0: name, index }) => ({ name, index }));
  return lines.map((line) =>
    Object.fromEntries(columns.map(({ name, index }, i) => [name, line.slice(index, columns[i + 1]?.index).trim()])),
  );
}

const clock = /^\d+\+\d\d:\d\d:\d\d$/;
const date = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/;

describe('workflows of the documentation', () => {
  it('multiple steps: run, list, describe, and each job one after the other', async () => {
    const id = await run(documents.multiStep);
    expect(await workflows.ended(id)).toMatchObject({ status: 'completed' });
    expect(await table('workflows', '--completed')).toEqual([
      {
        ID: String(id),
        NAME: 'multi-step-workflow',
        CREATED: expect.stringMatching(date) as string,
        STATUS: 'completed',
        ELAPSED: expect.stringMatching(clock) as string,
        SUCCESS: '3',
        FAILED: '0',
        TOTAL: '3',
      },
    ]);
    const listed = await table('jobs', String(id), '--all');
    expect(listed.map(({ ID, NAME, STATUS, IMAGE, CMD }) => [ID, NAME, STATUS, IMAGE, CMD])).toEqual(
      ['job_A', 'job_B', 'job_C'].map((name, i) => {
        return [String(id + 1 + i), `multi-step-workflow/${name}`, 'completed', 'busybox.tar', 'date'];
      }),
    );
    const described = await client.run('describe', 'workflow', String(id));
    expect(Object.keys(JSON.parse(described.stdout) as object)).toEqual(
      'id name status jobs dependencies events progress'.split(' '),
    );
    expect(JSON.parse(described.stdout)).toMatchObject({
      jobs: documents.multiStep['jobs'],
      dependencies: { job_A: ['job_B'], job_B: ['job_C'] },
      events: { createTime: expect.stringMatching(date) as string, endTime: expect.stringMatching(date) as string },
      progress: { total: 3, done: 3, failed: 0, queued: 0, waiting: 0 },
    });
    const [first, second, third] = await workflows.jobs(id);
    expect(second!.events.startTime).toBeGreaterThanOrEqual(first!.events.endTime!);
    expect(third!.events.startTime).toBeGreaterThanOrEqual(second!.events.endTime!);
    expect((await client.run('stdout', String(id), 'job_B')).stdout).toMatch(/^\w{3} \w{3} .*\n\n$/);
  });

  it('what `describe -i` prints runs again', async () => {
    const id = await run(documents.scatterGather);
    expect(await workflows.ended(id)).toMatchObject({ status: 'completed' });
    const jobs = await workflows.jobs(id);
    const before = Math.max(...jobs.slice(0, 3).map(({ events }) => events.endTime!));
    expect(jobs[3]!.events.startTime).toBeGreaterThanOrEqual(before);
    const { stdout } = await client.run('describe', '-i', 'workflow', String(id));
    const again = await run(JSON.parse(stdout) as Record<string, unknown>);
    expect(await workflows.ended(again)).toMatchObject({ status: 'completed', name: 'scatter-gather-workflow' });
  });

  it('a sweep and its merge, and the single factory of old', async () => {
    const id = await run(documents.factoryDag);
    const old = await run(documents.parametricSweep);
    expect(await workflows.ended(id)).toMatchObject({ status: 'completed', progress: { total: 4, done: 4 } });
    for (const instance of [0, 1, 2]) {
      const words = [String(id), 'process', String(instance)];
      expect(await client.run('stdout', ...words)).toEqual(success(`${instance + 1}\n\n`));
      expect(await client.run('stderr', ...words)).toEqual(success('\n'));
    }
    expect(await client.run('stdout', String(id), 'merge')).toEqual(success('merge\n\n'));
    expect(await workflows.ended(old)).toMatchObject({ status: 'completed', progress: { total: 4, done: 4 } });
    expect(await client.run('stdout', String(old), 'render', '3')).toEqual(success('4\n\n'));
    const listed = await table('jobs', String(old), '--all');
    expect(listed.map(({ NAME, CMD }) => [NAME, CMD])).toEqual(
      [0, 1, 2, 3].map((instance) => [`ps-workflow/render/${instance}`, 'echo $frame']),
    );
  });

  it('a zip: outputs are downloaded under the names of their instances', async () => {
    const id = await run(documents.zip);
    expect(await workflows.ended(id)).toMatchObject({ status: 'completed' });
    expect(await client.run('download', 'workflow', String(id))).toMatchObject({ exitCode: 0, stderr: '' });
    for (const value of [0, 1, 2, 3]) {
      expect(client.read(`from-${value}.txt`).toString()).toBe(`${value} to ${value + 8}\n`);
      // gzip
      expect(
        client
          .read(`run-${value + 8}.tgz`)
          .subarray(0, 2)
          .toString('hex'),
      ).toBe('1f8b');
    }
    expect(await client.run('download', '--dir', 'workflow', String(id))).toMatchObject({ exitCode: 0, stderr: '' });
    expect(client.read(`${id + 3}/from-2.txt`).toString()).toBe('2 to 10\n');
  });

  it('a repeat makes as many as it says', async () => {
    const id = await run(documents.repeat);
    expect(await workflows.ended(id)).toMatchObject({ status: 'completed', progress: { total: 10, done: 10 } });
    expect(await client.run('stdout', String(id), 'example', '9')).toEqual(success('again\n\n'));
    expect(await table('jobs', String(id))).toEqual([]);
    expect(await table('jobs', String(id), '--completed')).toHaveLength(10);
  });
});

describe('what users do with workflows', () => {
  it('rerun and clone make new ones, and rerun keeps what was done', async () => {
    const id = await run(documents.failing);
    expect(await workflows.ended(id)).toMatchObject({ status: 'failed', progress: { done: 1, failed: 1, waiting: 1 } });
    expect(await client.run('stdout', String(id), 'broken')).toEqual(success('out\n\n'));
    expect(await client.run('stderr', String(id), 'broken')).toEqual(success('err\n\n'));

    const rerun = createdId(await client.run('rerun', String(id)));
    expect(rerun).toBeGreaterThan(id + 3);
    expect(await workflows.ended(rerun)).toMatchObject({
      rerunOf: id,
      status: 'failed',
      progress: { total: 3, done: 1 },
    });
    expect(await client.run('stdout', String(rerun), 'steady')).toEqual(success('steady\n\n'));

    const clone = createdId(await client.run('clone', 'workflow', String(id)));
    expect(await workflows.ended(clone)).toMatchObject({ name: 'failing', status: 'failed' });
    const { stdout } = await client.run('describe', 'workflow', String(clone));
    expect(JSON.parse(stdout)).toMatchObject({ status: 'failed', progress: { done: 1, failed: 1 } });
  });

  it('delete takes the workflow and its jobs, and a rerun of a running one is refused', async () => {
    const id = await run({ ...documents.endless, policies: { leaveInQueue: true } });
    await workflows.until(id, ({ progress }) => progress.queued === 1);
    expect(await table('workflows')).toMatchObject([{ ID: String(id), STATUS: 'running', TOTAL: '2' }]);
    const early = await client.run('rerun', String(id));
    // The client does not catch what it throws here.
    expect(early).toMatchObject({ exitCode: 1, stdout: '' });
    expect(early.stderr).toContain(
      'Unable to find re-run workflow as the original workflow is not in a suitable state',
    );
    expect(await client.run('delete', 'workflow', String(id))).toEqual(success('Success\n'));
    expect(await workflows.ended(id)).toMatchObject({ status: 'deleted', statusReason: 'Workflow deleted by user' });
    expect((await workflows.jobs(id)).map(({ status, statusReason }) => [status, statusReason])).toEqual([
      ['deleted', 'Job part of a workflow which was deleted by user'],
      ['deleted', 'Job part of a workflow which was deleted by user'],
    ]);
    expect(await client.run('remove', 'workflow', String(id))).toEqual(success('Workflow removed from queue\n'));
    expect(await client.run('remove', 'workflow', String(id))).toEqual(refusal('Workflow is no longer in the queue'));
    expect(await client.run('delete', 'workflow', String(id))).toEqual(refusal('No such workflow(s)'));
    expect(await table('workflows')).toEqual([]);
  });

  it('what is not there is told in words the client prints', async () => {
    const id = await run({ name: 'nothing', jobs: [] });
    expect(await workflows.ended(id)).toMatchObject({ status: 'completed', progress: { total: 0 } });
    expect(await client.run('describe', 'workflow', '2000000000')).toEqual(refusal('No such workflow'));
    expect(await client.run('stdout', String(id), 'job')).toEqual(refusal('stdout does not exist'));
    expect(await client.run('stderr', String(id), 'job', '3')).toEqual(refusal('stderr does not exist'));
    expect(await client.run('stdout', '2000000000', 'job')).toEqual(refusal('Workflow does not exist'));
    client.write('bad.json', JSON.stringify({ jobs: [], dependencies: { a: ['b'] } }));
    const refused = await client.run('run', 'bad.json');
    expect(refused.exitCode).toBe(1);
    expect(refused.stderr).toContain('child job "b" is not actually defined');
  });

  it('numbers come to a task with the digits they were written with, and no two points are one', async () => {
    client.write('workflow.json', documents.numbers);
    const id = createdId(await client.run('run', 'workflow.json'));
    expect(await workflows.ended(id)).toMatchObject({ status: 'completed', progress: { total: 16, done: 16 } });
    const output = async (job: string, instance: number) =>
      (await client.run('stdout', String(id), job, String(instance))).stdout.trimEnd();
    const outputs = (job: string, count: number) =>
      Promise.all(Array.from({ length: count }, (_, instance) => output(job, instance)));
    const constants = '2.0 1e-07 1e+16 -0.0 340282366920938463463374607431768211455 True 5µm';
    const seeds = ['9007199254740992', '9007199254740993', '9223372036854775807', '18446744073709551615', '42'];
    expect(await outputs('member', 5)).toEqual(
      seeds.map((seed) => `seed=${seed} env=${seed} own=${seed} dir=/home/user/run-${seed} ${constants}`),
    );
    expect(await outputs('frequency', 5)).toEqual(
      ['1420405751.766', '1420405751.767', '1420405751.768', '1420405751.769', '1420405751.77'].map((f) => `f=${f}`),
    );
    expect(await outputs('time', 4)).toEqual(
      ['1700000000.25', '1700000000.5', '1700000000.75', '1700000001'].map((t) => `t=${t}`),
    );
    expect(await outputs('zero', 2)).toEqual(['z=-1e-07', 'z=0']);
    const { stdout } = await client.run('describe', 'workflow', String(id));
    expect(stdout).toContain('9223372036854775807');
    const members = (
      await workflows.rest.request('GET', `/jobs?id=${id}&workflow=true&num=-1&all=true&name=member`)
    ).text();
    expect(
      [...(await members).matchAll(/"parameters":\{"five":5,"seed":(\d+)/g)].map(([, seed]) => seed).toSorted(),
    ).toEqual(seeds.toSorted());
  });

  it('a zip of 1,000 points: every point is listed with its parameters, and all are told to end', async () => {
    const id = await run(documents.jettoStyle(1000));
    const listed = await client.python(`
from prominence import ProminenceClient
jobs = ProminenceClient(authenticated=True).list_jobs(status='all', workflow_id=${id}, num=-1)
print(len(jobs), len(set(job['parameters']['workdir'] for job in jobs)), jobs[-1]['parameters']['pointdir'])
`);
    expect(listed).toEqual(success('1000 1000 run-point_999\n'));
    const rows = await table('jobs', String(id), '--all');
    expect(rows[417]).toMatchObject({ ID: String(id + 418), NAME: 'jetto-scan/jetto/417' });
    await workflows.until(id, ({ progress }) => progress.queued > 0);
    expect(await client.run('delete', 'workflow', String(id))).toEqual(success('Success\n'));
    const status = expect.stringMatching(/^(running|deleted)$/) as string;
    const all = await table('workflows', '--all');
    expect(all.find(({ ID }) => ID === String(id))).toMatchObject({ STATUS: status, TOTAL: '1000' });
    expect(await workflows.ended(id, 120)).toMatchObject({ status: 'deleted' });
  });
});
