/**
 * Records histories of every workflow type from a real server, or of some:
 * `node --import tsx test/replay/record.ts [jobs|workflows|notifications|calls]`. Run it after a change of workflow code
 * that old histories still replay on; keep the old files as long as such executions may live.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { findTemporalCli } from '../../scripts/components/temporal-cli.ts';
import { isTerminal } from '../../domain/status.ts';
import { shardSize } from '../../domain/workflow-sizes.ts';
import { thisMachine } from '../../scripts/machine.ts';
import { WorkflowRest } from '../integration/workflows/workflow-rest.ts';
import { pauseUntilQueued, runningStack, shellJob, shellTask } from '../ground/running-stack.ts';
import { startWebdav } from '../ground/webdav.ts';
import { startWebhookReceiver } from '../ground/webhook-receiver.ts';

const folder = new URL('./histories/', import.meta.url);
/** They name folders of the machine they were recorded on, and say nothing to a replay. */
const withoutStacks = (key: string, value: unknown): unknown => (key === 'stackTrace' ? undefined : value);

const [wanted] = process.argv.slice(2);
// Without keys, so that the histories can be read and replayed without any.
const running = await runningStack({
  execution: { killGraceSeconds: 1 },
  notifications: { webhooks: { allowPrivateAddresses: true } },
  secrets: { keys: [] },
});
const { rest, stack } = running;
try {
  if (wanted === undefined || wanted === 'jobs') await recordJobs();
  if (wanted === undefined || wanted === 'workflows') await recordWorkflows();
  if (wanted === undefined || wanted === 'notifications') await recordNotifications();
  if (wanted === undefined || wanted === 'calls') await recordCalls();
} finally {
  await running.stop();
}

async function recordJobs(): Promise<void> {
  await rest.upload('words.txt', Buffer.from('words\n'));
  const jobs: Record<string, Record<string, unknown>> = {
    'job-cold-image': shellJob('echo cold'),
    'job-plain': shellJob('echo plain'),
    'job-files': shellJob('cat words.txt > out', { artifacts: [{ url: 'words.txt' }], outputFiles: ['out'] }),
    'job-two-tasks': shellJob('', { tasks: [shellTask('echo 1'), shellTask('exit 4')] }),
    'job-sidecar': shellJob('', { tasks: [shellTask('sleep 60', { type: 'sidecar' }), shellTask('echo 1')] }),
    'job-retries': shellJob('exit 1', { policies: { maximumRetries: 1, maximumTaskRetries: 1 } }),
    'job-missing-output': shellJob('true', { outputFiles: ['nowhere'] }),
    'job-no-image': shellJob('', { tasks: [{ image: '127.0.0.1:1/none', runtime: 'singularity', cmd: 'true' }] }),
    'job-no-storage': shellJob('true', { storage: webdav('http://127.0.0.1:1/') }),
    'job-refused': shellJob('true', { resources: { nodes: 1, cpus: 4096, memory: 1, disk: 1 } }),
  };
  for (const [name, description] of Object.entries(jobs)) {
    const id = await rest.submit(description);
    await rest.ended(id, 120);
    save(name, `job-${id}`);
  }
  const waits = { resources: { nodes: 1, cpus: 4096, memory: 1, disk: 1 }, policies: { maximumTimeInQueue: -1 } };
  const left = await rest.submit(shellJob('true', waits));
  await rest.until(left, ({ statusReason }) => statusReason !== undefined);
  // As the scheduler does when all machines are lost.
  const refusal = { attempt: 1, statusReason: 'No matching resources currently available', detail: 'lost' };
  temporal(
    'workflow',
    'signal',
    '--workflow-id',
    `job-${left}`,
    '--name',
    'leftQueue',
    '--input',
    JSON.stringify(refusal),
  );
  console.log(`left the queue: ${(await rest.ended(left)).statusReason}`);
  save('job-left-the-queue', `job-${left}`);
  const server = await startWebdav();
  try {
    const id = await rest.submit(shellJob('echo 1 > /data/1', { storage: webdav(server.url, server) }));
    await rest.ended(id, 120);
    save('job-storage', `job-${id}`);
  } finally {
    await server.stop();
  }
  const whole = await pauseUntilQueued(rest);
  await rest.ended(whole.queued, 60);
  save('job-deleted-while-running', `job-${whole.deleted}`);
  save('job-queued-then-run', `job-${whole.queued}`);
  save('machine-following', 'machine-1');
}

function webdav(
  url: string,
  { username, password }: { username: string; password: string } = { username: 'u', password: 'p' },
) {
  return { type: 'webdav', mountpoint: '/data', webdav: { url, username, password } };
}

async function recordWorkflows(): Promise<void> {
  const workflows = new WorkflowRest(rest);
  const repeated = (job: string, number: number) => [{ type: 'repeat', name: 'f', jobs: [job], number }];

  const branches = await workflows.submit({
    jobs: [
      shellJob('true', { name: 'root' }),
      shellJob('exit 1', { name: 'bad' }),
      shellJob('true', { name: 'never' }),
      shellJob('true', { name: 'some' }),
      shellJob('true', { name: 'leaf' }),
    ],
    dependencies: { root: ['bad', 'some'], bad: ['never'], some: ['leaf'] },
    factories: repeated('some', 3),
  });
  await workflows.ended(branches);
  save('dag-branches', `workflow-${branches}`);
  save('shard-of-three', `workflow-${branches}-jobs-${branches + 4}-${branches + 6}`);
  save('job-in-a-workflow', `job-${branches + 1}`);
  save('job-handed-by-a-shard', `job-${branches + 4}`);

  const deleted = await workflows.submit({
    jobs: [shellJob('while true; do sleep 0.2; done', { name: 'long' }), shellJob('true', { name: 'after' })],
    dependencies: { long: ['after'] },
    factories: repeated('long', 6),
  });
  await rest.until(deleted + 1, ({ status }) => status === 'running');
  await workflows.delete(deleted);
  await workflows.ended(deleted);
  save('dag-deleted', `workflow-${deleted}`);
  save('shard-deleted', `workflow-${deleted}-jobs-${deleted + 1}-${deleted + 6}`);

  const number = shardSize + 1;
  const resources = { nodes: 1, cpus: 4096, memory: 1, disk: 1 };
  const large = await workflows.submit({
    jobs: [shellJob('true', { name: 'many', resources })],
    factories: repeated('many', number),
  });
  await workflows.ended(large, 600);
  save('dag-with-a-group', `workflow-${large}`);
  save('group-of-two-shards', `workflow-${large}-group-${large + 1}-${large + number}`);
}

async function recordNotifications(): Promise<void> {
  const hooks = await startWebhookReceiver();
  hooks.answer('/gone', 410);
  hooks.answer('/broken', 500);
  const paths = ['/', '/gone', '/broken'];
  const secret = 'nobody is to know this one';
  const notifications = paths.map((path) => ({ type: 'webhook', url: `${hooks.url}${path}`, secret }));
  const id = await rest.submit(shellJob('true', { notifications }));
  for (const path of paths) await hooks.callsTo(path, path === '/broken' ? 2 : 1);
  temporal('workflow', 'cancel', '--workflow-id', `notification-${id}-2`);
  for (const [position, name] of ['delivered', 'refused', 'cancelled'].entries()) {
    const workflowId = `notification-${id}-${position}`;
    temporal('workflow', 'result', '--workflow-id', workflowId);
    save(`notification-${name}`, workflowId);
  }
  hooks.close();
}

async function recordCalls(): Promise<void> {
  const id = await rest.submit(shellJob('echo ready; while true; do sleep 0.2; done'));
  while ((await rest.output(id)) === '') await rest.until(id, ({ status }) => !isTerminal(status));
  const answer = await rest.request('POST', `/jobs/${id}/exec`, { command: ['true'] });
  console.log(`exec: ${answer.status}`);
  const calls = JSON.parse(
    temporal('workflow', 'list', '--query', 'WorkflowType = "callWorkflow"', '--output', 'json'),
  ) as { execution: { workflowId: string } }[];
  save('call-exec', calls[0]!.execution.workflowId);
}

function save(name: string, workflowId: string): void {
  const shown = temporal('workflow', 'show', '--workflow-id', workflowId, '--output', 'json');
  const history = JSON.parse(shown) as { events: unknown[] };
  writeFileSync(new URL(`${name}.json`, folder), `${JSON.stringify(history, withoutStacks)}\n`);
  console.log(`${name}: ${history.events.length} events`);
}

function temporal(...words: string[]): string {
  const program = findTemporalCli(thisMachine())!.path;
  return execFileSync(program, [...words, '--address', stack.temporalAddress], {
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
}
