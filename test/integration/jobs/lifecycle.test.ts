import { readFileSync } from 'node:fs';
import { Client, Connection } from '@temporalio/client';
import type { Payload } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadConfig } from '../../../config/load.ts';
import { connect } from '../../../db/connection.ts';
import type { JobInput, JobResult, JobView } from '../../../domain/job-messages.ts';
import { taskQueues } from '../../../domain/queues.ts';
import { payloadCodec } from '../../../temporal/codec.ts';
import { dataConverter } from '../../../temporal/data-converter.ts';
import type { Rest } from '../../ground/rest.ts';
import { eventually } from '../../ground/rest.ts';
import { runDirectories } from '../../ground/run-directories.ts';
import { runningStack, shellJob, shellTask, type RunningStack } from '../../ground/running-stack.ts';

let running: RunningStack;
let rest: Rest;
/** Waits for what never comes, for as long as it may. */
let oneMinute: number;
/** Waits as one that may, until it may not any more. */
let turnedAway: number;

beforeAll(async () => {
  running = await runningStack({ execution: { logBytesPerStream: 100_000, killGraceSeconds: 2 } });
  rest = running.rest;
  oneMinute = await rest.submit(
    shellJob('true', { resources: impossible, policies: { maximumTimeInQueue: 1, maximumRetries: 2 } }),
  );
  turnedAway = await rest.submit(shellJob('true', { resources: impossible, policies: { maximumTimeInQueue: -1 } }));
  await rest.until(turnedAway, ({ statusDetail }) => statusDetail !== undefined);
  // As if the last machine that is large enough went away while it waited.
  const { sql, close } = connect(config().database.url, { poolSize: 1 });
  await sql`update placement_requests set waits_out = 'busyMachines' where job_id = ${turnedAway}`;
  await close();
});
afterAll(() => running?.stop());

const config = () => loadConfig({ file: running.stack.configFile, env: {} });
const keys = () => config().secrets.keys;
const clientOf = (connection: Connection) => new Client({ connection, dataConverter: dataConverter(keys()) });

/** Every payload anywhere in it, as text. */
async function decodedPayloads(history: unknown): Promise<string> {
  const found: Payload[] = [];
  const walk = (value: unknown): void => {
    if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return;
    if ('metadata' in value && 'data' in value) found.push(value as Payload);
    else Object.values(value).forEach(walk);
  };
  walk(history);
  const decoded = await payloadCodec(keys(), { acceptUnencrypted: true }).decode(found);
  return decoded.map(({ data }) => Buffer.from(data ?? []).toString('utf8')).join('\n');
}

/** Too large for any machine, now and whenever. */
const impossible = { nodes: 1, cpus: 4096, memory: 1, disk: 1 };

/** So much and no more, for as long as it runs: what nobody watches for a moment must not harm the machine. */
const tooMuchMemory = 'dd if=/dev/zero of=/dev/null bs=1500M';

const fetched = async (url: string) => (await fetch(url)).text();

describe('a container job', () => {
  it('runs its tasks in one scratch directory with its inputs and environment, and delivers its outputs', async () => {
    const id = await rest.submit(
      shellJob('', {
        name: 'first/one',
        labels: { app: 'test' },
        inputs: [
          { filename: 'in.txt', content: Buffer.from('hello\n').toString('base64') },
          { filename: 'tool', content: Buffer.from('#!/bin/sh\necho tool ran\n').toString('base64'), executable: true },
        ],
        tasks: [
          shellTask('cat in.txt; ./tool; echo "$GREETING" > out.txt; mkdir -p plots/a; echo 1 > plots/a/b', {
            env: { GREETING: 'a "b" $c,\nd', NUMBER: 3 },
          }),
          shellTask(
            'cat out.txt; pwd; echo $NUMBER; echo $HOME $USER $TMP $TEMP $TMPDIR $PROMINENCE_TASK_NUM; echo oops >&2',
            {
              env: { NUMBER: 7 },
            },
          ),
        ],
        outputFiles: ['out.txt'],
        outputDirs: ['plots'],
      }),
    );
    const job = await rest.ended(id);
    expect(job).toMatchObject({ status: 'completed', name: 'first/one', labels: { app: 'test' } });
    expect(await rest.output(id)).toBe(
      'hello\ntool ran\na "b" $c,\nd\n/home/user\n7\n/home/user user /tmp /tmp /tmp 1\n',
    );
    expect(await rest.output(id, 'stderr')).toBe('oops\n');
    expect(await rest.output(id, 'stdout', 6)).toMatch(/^tool ran/);
    expect(job.execution).toMatchObject({
      site: 'local',
      provisionedResources: { cpus: 1, memory: 1, disk: 1, nodes: 1 },
      runtimeVersion: { singularity: expect.stringMatching(/^\d/) as string },
      tasks: [
        { exitCode: 0, retries: 0 },
        { exitCode: 0, retries: 0, imagePullStatus: 'cached' },
      ],
    });
    expect(job.events.startTime).toBeGreaterThanOrEqual(job.events.createTime);
    expect(job.events.endTime).toBeGreaterThanOrEqual(job.events.startTime!);
    expect(await fetched(job.outputFiles![0]!.url)).toBe('a "b" $c,\nd\n');
    expect(job.outputDirs![0]).toMatchObject({ name: 'plots', size: expect.any(Number) as number });
    expect(
      Buffer.from(await (await fetch(job.outputDirs![0]!.url)).arrayBuffer())
        .subarray(0, 2)
        .toString('hex'),
    ).toBe('1f8b');
  });

  it('leaves no run directory behind', async () => {
    const id = await rest.submit(shellJob('echo done'));
    await rest.ended(id);
    await eventually(
      () => Promise.resolve(runDirectories(running.stack).some((name) => name.includes(`-${id}.`)) ? undefined : true),
      () => `the run directory of job ${id} is still there`,
    );
  });

  it('is completed with its exit code, and stops at the first task that fails', async () => {
    const tasks = [shellTask('exit 3'), shellTask('echo never')];
    const stopped = await rest.submit(shellJob('', { tasks }));
    const goesOn = await rest.submit(shellJob('', { tasks, policies: { ignoreTaskFailures: true } }));
    expect(await rest.ended(stopped)).toMatchObject({ status: 'completed', execution: { tasks: [{ exitCode: 3 }] } });
    expect(await rest.output(stopped)).toBe('');
    const second = await rest.ended(goesOn);
    expect(second.execution.tasks.map((task) => task.exitCode)).toEqual([3, 0]);
    expect(await rest.output(goesOn)).toBe('never\n');
  });

  it('repeats a failing task in place and a failing job anew, as often as asked', async () => {
    const again = 'echo x >> tries; [ $(wc -l < tries) = 3 ]';
    const task = await rest.submit(shellJob(again, { policies: { maximumTaskRetries: 4 } }));
    const job = await rest.submit(shellJob('ls; touch seen; exit 1', { policies: { maximumRetries: 2 } }));
    expect((await rest.ended(task)).execution.tasks[0]).toMatchObject({ exitCode: 0, retries: 2 });
    const ended = await rest.ended(job);
    expect(ended).toMatchObject({ status: 'completed', execution: { retries: 2, tasks: [{ exitCode: 1 }] } });
    expect(ended.execution.attempts).toHaveLength(3);
    // Each run of the job began in a fresh scratch directory.
    expect(await rest.output(job)).toBe('');
  });

  it('is killed, and says why, when it uses too much memory', async () => {
    const id = await rest.submit(shellJob(tooMuchMemory));
    expect(await rest.ended(id)).toMatchObject({ status: 'killed', statusReason: 'Job used too much memory' });
  });

  it('fails with the reason when an output is missing, and still delivers the others', async () => {
    const id = await rest.submit(shellJob('echo here > there.txt', { outputFiles: ['nowhere.txt', 'there.txt'] }));
    const job = await rest.ended(id);
    expect(job).toMatchObject({ status: 'failed', statusReason: 'Stageout failed due to no such file or directory' });
    expect(job.outputFiles![0]).toMatchObject({ name: 'nowhere.txt', url: '' });
    expect(await fetched(job.outputFiles![1]!.url)).toBe('here\n');
  });

  it('fails with the reason when its image can not be had', async () => {
    const id = await rest.submit(
      shellJob('', { tasks: [{ image: '127.0.0.1:1/no/image:1', runtime: 'singularity', cmd: 'true' }] }),
    );
    const job = await rest.ended(id, 120);
    expect(job).toMatchObject({
      status: 'failed',
      statusReason: 'Container image pull failed',
      execution: { tasks: [{ imagePullStatus: 'failed' }] },
    });
    expect(job.statusDetail).toBeTruthy();
  });

  it('gets its artifacts unpacked and mounted, and fails when one is not there', async () => {
    await rest.upload('script.sh', Buffer.from('echo from the artifact\n'));
    const mounted = await rest.submit(
      shellJob('sh script.sh; touch /data/x; ls /home/user/made', {
        artifacts: [{ url: 'script.sh', mountpoint: 'made:/data', executable: true }],
      }),
    );
    const missing = await rest.submit(shellJob('true', { artifacts: [{ url: 'http://127.0.0.1:1/nothing.tgz' }] }));
    expect(await rest.ended(mounted)).toMatchObject({ status: 'completed' });
    expect(await rest.output(mounted)).toBe('from the artifact\nx\n');
    expect(await rest.ended(missing)).toMatchObject({ status: 'failed', statusReason: 'Artifact download failed' });
  });

  it('shows its output while it runs, by byte offset', async () => {
    const id = await rest.submit(shellJob('echo one; while [ ! -e go ]; do sleep 0.1; done; echo two'));
    await eventually(
      async () => ((await rest.output(id)) === 'one\n' ? true : undefined),
      () => 'no live output',
    );
    expect(await rest.describe(id)).toMatchObject({ status: 'running' });
    expect(await rest.output(id, 'stdout', 4)).toBe('');
    await rest.request('DELETE', `/jobs/${id}`);
    expect(await rest.ended(id)).toMatchObject({ status: 'deleted', statusReason: 'Job deleted by user' });
    expect(await rest.output(id)).toBe('one\n');
  });

  it('has its output cut at the cap with a clear notice', async () => {
    const id = await rest.submit(shellJob('yes | head -c 300000'));
    await rest.ended(id);
    const output = await rest.output(id);
    expect(output.slice(0, 100_000)).toBe('y\n'.repeat(50_000));
    expect(output.slice(100_000)).toBe('\n[prominence: stdout was cut here, after 100000 bytes]\n');
  });

  it('is refused for ever when no machine is large enough, and says what there is', async () => {
    const id = await rest.submit(shellJob('true', { resources: { nodes: 1, cpus: 4096, memory: 1, disk: 1 } }));
    const job = await rest.ended(id);
    expect(job).toMatchObject({ status: 'failed', statusReason: 'No matching resources' });
    expect(job.statusDetail).toContain('4096 cpus');
  });

  it('waits its turn, and a waiting one can be deleted', async () => {
    const all = (await import('node:os')).cpus().length;
    const whole = { resources: { nodes: 1, cpus: all, memory: 1, disk: 1 } };
    const first = await rest.submit(shellJob('while [ ! -e go ]; do sleep 0.1; done', whole));
    await rest.until(first, (job) => job.status === 'running');
    const second = await rest.submit(shellJob('echo second', whole));
    const third = await rest.submit(shellJob('echo third', whole));
    const waiting = await rest.until(second, (job) => job.statusReason !== undefined);
    expect(waiting).toMatchObject({ status: 'pending', statusReason: 'No matching resources currently available' });
    expect((await rest.request('DELETE', `/jobs?id=${third}`)).status).toBe(200);
    expect(await rest.ended(third)).toMatchObject({ status: 'deleted' });
    await rest.request('DELETE', `/jobs/${first}`);
    expect(await rest.ended(second)).toMatchObject({ status: 'completed' });
  });
});

const missing = { outputFiles: ['nowhere.txt'] };
const retried = { retries: 1 };
const memoryKill = { status: 'killed', statusReason: 'Job used too much memory' };

/** What each policy makes of a job: its end, what is told of it, and whether it stays in the queue. */
const policyTable: [what: string, Record<string, unknown>, Record<string, unknown>][] = [
  [
    'reportJobSuccessOnTaskFailure: a failing task is no reason to run the job again',
    shellJob('exit 3', { policies: { reportJobSuccessOnTaskFailure: true, maximumRetries: 2 } }),
    { status: 'completed', execution: { tasks: [{ exitCode: 3, retries: 0 }] } },
  ],
  [
    'reportJobSuccessOnTaskFailure: a missing output is one all the same',
    shellJob('exit 3', { ...missing, policies: { reportJobSuccessOnTaskFailure: true, maximumRetries: 1 } }),
    { status: 'failed', execution: { ...retried, tasks: [{ exitCode: 3 }] } },
  ],
  [
    'ignoreTaskFailures with both kinds of retries: what is told is of the last run',
    shellJob('', {
      tasks: [shellTask('exit 1'), shellTask('exit 0')],
      policies: { ignoreTaskFailures: true, maximumTaskRetries: 1, maximumRetries: 1 },
    }),
    {
      status: 'completed',
      execution: {
        ...retried,
        tasks: [
          { exitCode: 1, retries: 1 },
          { exitCode: 0, retries: 0 },
        ],
      },
    },
  ],
  [
    'maximumRetries: a killed job is run again, a killed task is not repeated in place',
    shellJob(tooMuchMemory, { policies: { maximumRetries: 1, maximumTaskRetries: 2, leaveInQueue: true } }),
    { ...memoryKill, execution: { ...retried, tasks: [{ retries: 0, error: 'MemoryLimitExceeded' }] } },
  ],
  [
    'leaveInQueue: a job that failed stays',
    shellJob('true', { outputDirs: ['nowhere'], policies: { leaveInQueue: true } }),
    { status: 'failed', statusReason: 'Stageout failed due to tarball creation failed' },
  ],
  [
    'what can not be unpacked fails the job',
    shellJob('true', { artifacts: [{ url: 'not-an-archive.tgz' }] }),
    { status: 'failed', statusReason: 'Artifact uncompress failed' },
  ],
  [
    'autoScalingType, maximumIdleTimePerResource and preemptible change nothing',
    shellJob('true', {
      policies: { autoScalingType: 'dedicated', maximumIdleTimePerResource: 5, preemptible: true, priority: 3 },
    }),
    { status: 'completed' },
  ],
  [
    'maximumTimeInQueue 0: what no machine could ever run fails at once',
    shellJob('true', { resources: impossible, policies: { maximumTimeInQueue: 0, leaveInQueue: true } }),
    { status: 'failed', statusReason: 'No matching resources' },
  ],
];

describe('policies', () => {
  it('decide how a job ends, what it tells, and whether it stays in the queue', async () => {
    await rest.upload('not-an-archive.tgz', Buffer.from('words'));
    const ids = await Promise.all(policyTable.map(([, job]) => rest.submit(job)));
    const listed = async (query: string) =>
      ((await (await rest.request('GET', `/jobs${query}`)).json()) as { id: number }[]).map(({ id }) => id);
    for (const [index, [what, job, expected]] of policyTable.entries()) {
      const id = ids[index]!;
      expect(await rest.ended(id), what).toMatchObject(expected);
      const isKept = (job['policies'] as { leaveInQueue?: boolean } | undefined)?.leaveInQueue === true;
      expect((await listed('')).includes(id), what).toBe(isKept);
      expect(await listed('?completed=true&num=-1'), what).toContain(id);
      expect((await rest.request('PUT', `/jobs/${id}/remove`)).status, what).toBe(isKept ? 200 : 400);
      expect(await listed(''), what).not.toContain(id);
    }
    expect((await rest.describe(ids[0]!)).execution.retries).toBeUndefined();
  });

  it('maximumTimeInQueue: -1 waits for what may never come, n for so many minutes; both tell what for', async () => {
    const endless = await rest.submit(
      shellJob('true', { resources: impossible, policies: { maximumTimeInQueue: -1, leaveInQueue: true } }),
    );
    const waiting = await rest.until(endless, ({ statusDetail }) => statusDetail !== undefined);
    expect(waiting).toMatchObject({
      status: 'pending',
      statusReason: 'No matching resources currently available',
      statusDetail: expect.stringContaining('no machine is large enough') as string,
    });
    // Began to wait with this file.
    expect(await rest.ended(oneMinute)).toMatchObject({
      status: 'failed',
      statusReason: 'Maximum time queued was exceeded',
      statusDetail: expect.stringContaining('no machine is large enough') as string,
    });
    expect(await rest.ended(turnedAway)).toMatchObject({
      status: 'failed',
      statusReason: 'No matching resources',
      statusDetail: expect.stringContaining('no machine is large enough') as string,
    });
    await rest.request('DELETE', `/jobs/${endless}`);
    expect(await rest.ended(endless)).toMatchObject({ status: 'deleted', statusReason: 'Job deleted by user' });
  });
});

describe('the Temporal door', () => {
  it('starts, describes and awaits a job with a plain SDK client', async () => {
    const connection = await Connection.connect({ address: running.stack.temporalAddress });
    try {
      const client = clientOf(connection);
      const input: JobInput = { description: shellJob('echo by sdk; exit 5', { name: 'sdk' }), owner: 'ann' };
      const handle = await client.workflow.start('jobWorkflow', {
        workflowId: 'my-own-name',
        taskQueue: taskQueues.workflows,
        args: [input],
      });
      const result = (await handle.result()) as JobResult;
      expect(result).toMatchObject({ status: 'completed', exitCodes: [5] });
      expect(await handle.query<JobView>('describe')).toMatchObject({ phase: 'finished', result: { exitCodes: [5] } });
      expect(await rest.describe(result.jobId)).toMatchObject({ name: 'sdk', status: 'completed' });
      expect(await rest.output(result.jobId)).toBe('by sdk\n');

      const refused = await client.workflow.start('jobWorkflow', {
        workflowId: 'not-a-job',
        taskQueue: taskQueues.workflows,
        args: [{ description: { tasks: [] }, owner: 'ann' }],
      });
      await expect(refused.result()).rejects.toMatchObject({
        cause: { message: 'a job must contain resources' },
      });

      // Judged as by the other doors: what it names must be there.
      const lacking = shellJob('', { tasks: [shellTask('true', { image: 'nothing.tar' })] });
      const imageless = await client.workflow.start('jobWorkflow', {
        workflowId: 'no-image',
        taskQueue: taskQueues.workflows,
        args: [{ description: lacking, owner: 'ann' }],
      });
      await expect(imageless.result()).rejects.toMatchObject({
        cause: { message: 'Image nothing.tar does not exist' },
      });

      // Names that jobs of the service have or will have.
      const takes = { taskQueue: taskQueues.workflows, args: [input] };
      const taken = await client.workflow.start('jobWorkflow', { workflowId: 'job-1000000', ...takes });
      await expect(taken.result()).rejects.toMatchObject({
        cause: { message: 'workflow ids of the form job-<number> are the service’s own: choose another' },
      });
    } finally {
      await connection.close();
    }
  });

  it('carries no description, URL or credential in the history of a job that came by REST', async () => {
    const credential = { username: 'u', token: 'very-secret-token' };
    const id = await rest.submit(
      shellJob('', { tasks: [shellTask('echo secret-command', { imagePullCredential: credential })] }),
    );
    await rest.ended(id);
    const connection = await Connection.connect({ address: running.stack.temporalAddress });
    try {
      const history = await clientOf(connection).workflow.getHandle(`job-${id}`).fetchHistory();
      // What an operator with the key sees: that it is encrypted is not what keeps secrets out of it.
      const payloads = await decodedPayloads(history);
      expect(payloads).toContain('"jobId"');
      expect(payloads).not.toMatch(/very-secret-token|secret-command|signature=/);
    } finally {
      await connection.close();
    }
    for (const log of ['worker', 'api']) {
      expect(readFileSync(`${running.stack.home}/logs/${log}.log`, 'utf8')).not.toMatch(/very-secret-token|signature=/);
    }
  });
});
