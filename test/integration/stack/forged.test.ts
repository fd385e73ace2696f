/** What somebody can do who reaches Temporal and has no key of ours: nothing in the name of anybody. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Client, Connection } from '@temporalio/client';
import { defaultPayloadConverter, type Payload } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { loadConfig } from '../../../config/load.ts';
import { jobSignals } from '../../../domain/job-messages.ts';
import { taskQueues } from '../../../domain/queues.ts';
import { dataConverter } from '../../../temporal/data-converter.ts';
import { eventually } from '../../ground/rest.ts';
import { runningStack, shellJob, type RunningStack } from '../../ground/running-stack.ts';

let running: RunningStack;
let connection: Connection;
let stranger: Client;
/** Reads what the workers said of it, which is encrypted. */
let operator: Client;
beforeAll(async () => {
  running = await runningStack();
  connection = await Connection.connect({ address: running.stack.temporalAddress });
  stranger = new Client({ connection });
  const { secrets } = loadConfig({ file: running.stack.configFile, env: {} });
  operator = new Client({ connection, dataConverter: dataConverter(secrets.keys) });
});
afterAll(async () => {
  await connection?.close();
  await running?.stop();
});

const plain = (value: unknown): Payload => defaultPayloadConverter.toPayload(value)!;
const refused = { cause: { type: 'UnencryptedPayload' } };
const taskQueue = taskQueues.workflows;
const idle = () => running.rest.submit(shellJob('while ! test -e done; do sleep 0.2; done; exit 3'));

const startRaw = (workflowId: string, type: string, payloads: Payload[], queue: string = taskQueue) =>
  connection.workflowService.startWorkflowExecution({
    namespace: 'default',
    workflowId,
    requestId: workflowId,
    workflowType: { name: type },
    taskQueue: { name: queue },
    input: { payloads },
  });

/** The next task of a workflow of the stranger's own. */
const polled = (queue: { namespace: string; taskQueue: { name: string } }) =>
  connection.withDeadline(Date.now() + 30_000, () => connection.workflowService.pollWorkflowTaskQueue(queue));

describe('a start without our keys', () => {
  const forged = { description: shellJob('echo stolen'), owner: 'alice', jobId: 1, workflowId: 1, machineId: 1 };
  const types = ['job', 'dag', 'shard', 'group', 'machine', 'call', 'notification'];

  test.each(types)('of a %sWorkflow fails at once and for good, and nothing is done', async (type) => {
    for (const args of [[forged], []]) {
      const workflowId = `forged-${type}-${args.length}`;
      const handle = await stranger.workflow.start(`${type}Workflow`, { workflowId, taskQueue, args });
      await expect(operator.workflow.getHandle(workflowId).result()).rejects.toMatchObject(refused);
      const types = (await handle.fetchHistory()).events!.map(({ eventType }) => eventType);
      // Started, its one task scheduled, begun and completed, failed.
      expect(types).toHaveLength(5);
    }
    const alice = await running.as('alice');
    expect(await (await alice.request('GET', '/jobs?all=true')).json()).toEqual([]);
  });

  it('is refused too where it looks encrypted, or is a copy of what we started something else with', async () => {
    const id = await running.rest.submit(shellJob('echo mine'));
    await running.rest.ended(id);
    const history = await stranger.workflow.getHandle(`job-${id}`).fetchHistory();
    const copy = history.events![0]!.workflowExecutionStartedEventAttributes!.input!.payloads![0]! as Payload;
    const madeUp = { metadata: copy.metadata!, data: Buffer.from('nothing that anybody encrypted, just as long') };
    for (const [name, payload] of Object.entries({ copy, madeUp })) {
      await startRaw(`forged-${name}`, 'jobWorkflow', [payload]);
      await expect(operator.workflow.getHandle(`forged-${name}`).result()).rejects.toMatchObject(refused);
    }
  });
});

describe('a signal without our keys', () => {
  it('is dropped: forged, made to look encrypted, or copied from another job', async () => {
    const donor = await running.rest.submit(shellJob('exit 0'));
    await running.rest.ended(donor);
    const events = (await stranger.workflow.getHandle(`job-${donor}`).fetchHistory()).events!;
    const copied = events.flatMap(({ workflowExecutionSignaledEventAttributes: signal }) => signal ?? []);
    expect(copied.map(({ signalName }) => signalName)).toContain(jobSignals.taskFinished);

    const id = await running.rest.submit(shellJob('sleep 4; exit 3'));
    await running.rest.until(id, ({ status }) => status === 'running');
    const times = { startedAt: 1, endedAt: 2, cpuSeconds: 0, maxResidentSetSizeKb: 0 };
    const finished = { attempt: 1, launch: 0, result: { exitCode: 0, cause: 'exited', ...times } };
    const handle = stranger.workflow.getHandle(`job-${id}`);
    await handle.signal(jobSignals.taskFinished, finished);
    await handle.signal(jobSignals.runLost, { attempt: 1, cause: 'machineLost', detail: 'forged' });
    await handle.signal(jobSignals.taskFinished);
    for (const { signalName, input } of copied) {
      await signalRaw(`job-${id}`, signalName!, input!.payloads! as Payload[]);
      const metadata = input!.payloads![0]!.metadata!;
      await signalRaw(`job-${id}`, signalName!, [{ metadata, data: Buffer.from('made up '.repeat(9)) }]);
    }
    const job = await running.rest.ended(id);
    expect([job.status, job.execution.tasks.map(({ exitCode }) => exitCode)]).toEqual(['completed', [3]]);
  });

  const signalRaw = (workflowId: string, signalName: string, payloads: Payload[]) =>
    connection.workflowService.signalWorkflowExecution({
      namespace: 'default',
      workflowExecution: { workflowId },
      signalName,
      input: { payloads },
    });
});

describe('an activity', () => {
  it('is not done for a workflow of somebody without our keys', async () => {
    const id = await idle();
    await running.rest.until(id, ({ status }) => status === 'running');
    for (const [activity, queue] of [
      ['killRun', taskQueues.hosts],
      ['stageOut', taskQueues.transfers],
      ['performCall', taskQueues.calls],
      ['followMachine', taskQueues.machines],
      ['notify', taskQueues.notifications],
      ['closeJobs', taskQueues.workflows],
    ]) {
      const input = plain({ jobId: id, attempt: 1, callId: 1, machineId: 1, notificationId: 1, workflowId: 1 });
      expect(await failureOfForged(activity!, queue!, [input]), activity).toBe('UnencryptedPayload');
      expect(await failureOfForged(activity!, queue!, []), activity).toBe('UnencryptedPayload');
    }
    expect((await running.rest.describe(id)).status).toBe('running');
    await running.rest.request('DELETE', `/jobs/${id}`);
    await running.rest.ended(id);
  });

  it('is asked for again where somebody without our keys answers in its place', async () => {
    const asked: (() => void)[] = [];
    const server = createServer((_, response) => void asked.push(() => response.end('the content'))).listen(0);
    await once(server, 'listening');
    try {
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/file`;
      const id = await running.rest.submit(shellJob('cat file', { artifacts: [{ url }] }));
      await eventually(
        async () => asked[0],
        () => 'nobody fetched the artifact',
      );
      const history = await stranger.workflow.getHandle(`job-${id}`).fetchHistory();
      const scheduled = history.events!.flatMap((event) => event.activityTaskScheduledEventAttributes ?? []);
      await connection.workflowService.respondActivityTaskCompletedById({
        namespace: 'default',
        workflowId: `job-${id}`,
        activityId: scheduled.find(({ activityType }) => activityType!.name === 'stageIn')!.activityId!,
        result: { payloads: [plain({ kind: 'failed', detail: 'forged', cause: 'download', seconds: 1 })] },
      });
      const answering = setInterval(() => asked.splice(0).forEach((answer) => answer()), 50);
      const job = await running.rest.ended(id);
      clearInterval(answering);
      expect(job.status).toBe('completed');
      expect(await running.rest.output(id)).toBe('the content');
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });

  let forgeries = 0;

  /** A workflow of the stranger's own, on a task queue of its own, asks for it. @returns the type of the failure */
  async function failureOfForged(activity: string, queue: string, payloads: Payload[]): Promise<string> {
    const { workflowService } = connection;
    const own = { namespace: 'default', taskQueue: { name: `own-${++forgeries}` } };
    await startRaw(`own-${forgeries}`, 'own', [], own.taskQueue.name);
    const { taskToken } = await polled(own);
    await workflowService.respondWorkflowTaskCompleted({
      namespace: 'default',
      taskToken,
      commands: [
        {
          // COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK
          commandType: 1,
          scheduleActivityTaskCommandAttributes: {
            activityId: 'forged',
            activityType: { name: activity },
            taskQueue: { name: queue },
            input: { payloads },
            startToCloseTimeout: { seconds: 30 as never },
            scheduleToCloseTimeout: { seconds: 30 as never },
            retryPolicy: { maximumAttempts: 1 },
          },
        },
      ],
    });
    const { history } = await polled(own);
    const failed = history!.events!.find((event) => event.activityTaskFailedEventAttributes);
    return failed?.activityTaskFailedEventAttributes?.failure?.applicationFailureInfo?.type ?? 'it was done';
  }
});

it('a client with our keys reads nothing that somebody else answered', async () => {
  const { workflowService } = connection;
  const own = { namespace: 'default', taskQueue: { name: 'answers' } };
  await startRaw('answered', 'own', [], own.taskQueue.name);
  const { taskToken } = await polled(own);
  const result = { payloads: [plain({ jobId: 1, status: 'completed' })] };
  await workflowService.respondWorkflowTaskCompleted({
    namespace: 'default',
    taskToken,
    // COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION
    commands: [{ commandType: 4, completeWorkflowExecutionCommandAttributes: { result } }],
  });
  await expect(operator.workflow.getHandle('answered').result()).rejects.toThrow(
    /did not come encrypted for this workflow under secrets.keys/,
  );
});
