/** Notifications of real jobs and workflows, over Temporal, to servers that are away, refuse, or answer late. */
import { Client, Connection, type WorkflowFailedError } from '@temporalio/client';
import postgres from 'postgres';
import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { issueToken } from '../../../api/auth/tokens.ts';
import { loadConfig } from '../../../config/load.ts';
import { taskQueues } from '../../../domain/queues.ts';
import { makeCertificate, type TestCertificate } from '../../ground/certificate.ts';
import { startMailServer, type MailServer } from '../../ground/mail-server.ts';
import { eventually, Rest } from '../../ground/rest.ts';
import { runningStack, shellJob, type RunningStack } from '../../ground/running-stack.ts';
import { startWebhookReceiver, type WebhookReceiver } from '../../ground/webhook-receiver.ts';
import { WorkflowRest } from '../workflows/workflow-rest.ts';

const secret = 'a secret that only the receiver knows';
const webhookKey = `whsec_${Buffer.from('the key of the whole installation').toString('base64')}`;
const login = { user: 'prominence', password: 'the password of the mail server' };

let certificate: TestCertificate;
let mail: MailServer;
let hooks: WebhookReceiver;
let running: RunningStack;
let sql: postgres.Sql;
let temporal: Connection;
let client: Client;

beforeAll(async () => {
  certificate = makeCertificate();
  const { cert, key } = certificate;
  mail = await startMailServer({ tls: { cert, key, ...login } });
  hooks = await startWebhookReceiver({ cert, key });
  // The worker is a child of this process.
  process.env['NODE_EXTRA_CA_CERTS'] = certificate.certificateFile;
  running = await runningStack({
    execution: { killGraceSeconds: 1 },
    // Without keys, so that what Temporal is told can be read.
    secrets: { keys: [] },
    notifications: {
      smtp: { host: 'localhost', port: mail.port, from: 'PROMINENCE <batch@example.org>', ...login },
      webhooks: { signingKey: webhookKey, allowPrivateAddresses: true },
    },
  });
  sql = postgres(running.stack.databaseUrl, { max: 2 });
  temporal = await Connection.connect({ address: running.stack.temporalAddress });
  client = new Client({ connection: temporal });
});
afterAll(async () => {
  delete process.env['NODE_EXTRA_CA_CERTS'];
  await temporal?.close();
  await sql?.end();
  await running?.stop();
  hooks?.close();
  await mail?.goAway();
  certificate?.remove();
});

/** As ann, whose token tells this address. */
async function ann(email: string): Promise<Rest> {
  const { signingKey } = loadConfig({ file: running.stack.configFile, env: {} }).auth;
  const token = await issueToken(signingKey, { username: 'ann', groups: ['science'], email, expiresSeconds: 3600 });
  return new Rest(running.stack.apiUrl, token);
}

const email = { event: 'jobFinished', type: 'email' };
const told = (line: string, more: Record<string, unknown> = {}) => shellJob(line, { notifications: [email], ...more });
const longLine = 'while true; do sleep 0.2; done';

interface Recorded {
  state: string;
  attempts: number;
  detail: string | null;
}

async function recorded(id: number, isIt: (row: Recorded) => boolean): Promise<Recorded> {
  let last: Recorded | undefined;
  return eventually(
    async () => {
      [last] = await sql<Recorded[]>`
        select state, attempts, detail from notifications where subject_id = ${id} and position = 0`;
      return last && isIt(last) ? last : undefined;
    },
    () => `the notification about ${id} is ${JSON.stringify(last)}`,
  );
}

describe('a job', () => {
  it('that is finished is told of by e-mail and by webhook', async () => {
    const address = 'done@example.org';
    const rest = await ann(address);
    const notifications = [
      email,
      { event: 'jobFinished', type: 'webhook', url: `${hooks.url}/own`, secret },
      { event: 'jobFinished', type: 'webhook', url: `${hooks.url}/common` },
    ];
    const id = await rest.submit(told('echo hello; exit 3', { name: 'sum', notifications }));
    const { subject, text, isEncrypted } = await mail.to(address);
    expect(isEncrypted).toBe(true);
    expect(subject).toBe(`Your PROMINENCE job with id ${id} (sum) has finished`);
    expect(text).toMatch(/^Exit code of each task: +3$/m);
    expect(text).toContain(`prominence stdout ${id}`);
    const [own] = await hooks.callsTo('/own');
    const [common] = await hooks.callsTo('/common');
    const { data } = new Webhook(Buffer.from(secret), { format: 'raw' }).verify(own!.body, own!.headers) as {
      data: { url: string };
    };
    expect(data).toMatchObject({ id, status: 'completed', exitCodes: [3] });
    expect(data.url).toBe(`${rest.url}/jobs/${id}`);
    new Webhook(webhookKey).verify(common!.body, common!.headers);

    const described = await rest.describe(id);
    expect(described['notifications']).toEqual([
      notifications[0],
      { ...notifications[1], secret: '***' },
      notifications[2],
    ]);
  });

  it('that failed, or was deleted, is told of too', async () => {
    const rest = await ann('unlucky@example.org');
    const failed = await rest.submit(told('true', { outputFiles: ['nowhere'] }));
    const deleted = await (await ann('impatient@example.org')).submit(told(longLine));
    await rest.until(deleted, ({ status }) => status === 'running');
    await rest.request('DELETE', `/jobs/${deleted}`);
    const { subject, text } = await mail.to('unlucky@example.org');
    expect(subject).toBe(`Your PROMINENCE job with id ${failed} (test) has failed`);
    expect(text).toMatch(/^Reason: +Stageout failed/m);
    expect((await mail.to('impatient@example.org')).text).toMatch(/^Reason: +Job deleted by user$/m);
  });

  it('is told of once the mail server is back, over the death of a worker, and holds up nothing meanwhile', async () => {
    const address = 'later@example.org';
    const rest = await ann(address);
    await mail.goAway();
    const id = await rest.submit(told('true'));
    expect((await rest.ended(id)).status).toBe('completed');
    expect(await recorded(id, ({ attempts }) => attempts >= 1)).toMatchObject({
      state: 'retrying',
      detail: expect.stringMatching(/ECONNREFUSED/),
    });
    expect((await client.workflow.getHandle(`job-${id}`).describe()).status.name).toBe('COMPLETED');
    process.kill(running.stack.children.worker!.pid!, 'SIGKILL');
    await mail.comeBack();
    // Tried again after some time, and not before the worker's heartbeats are missed.
    await mail.to(address, 200);
    expect(await recorded(id, ({ state }) => state === 'delivered')).toMatchObject({ detail: null });
    expect(mail.received.filter(({ recipients }) => recipients.includes(address))).toHaveLength(1);
  }, 400_000);

  it('whose owner has no mailbox any more is not told of, and the reason is kept', async () => {
    const address = 'left@example.org';
    mail.refuse(address, 550);
    const rest = await ann(address);
    const id = await rest.submit(told('true'));
    expect(await recorded(id, ({ state }) => state === 'givenUp')).toEqual({
      state: 'givenUp',
      attempts: 1,
      detail: expect.stringMatching(/550 no left@example\.org here/),
    });
    expect(await client.workflow.getHandle(`notification-${id}-0`).result()).toEqual({ outcome: 'givenUp' });
  });

  it('may be given up by an operator, who cancels the workflow that tries', async () => {
    const rest = await ann('never@example.org');
    hooks.answer('/never', 500);
    const id = await rest.submit(told('true', { notifications: [{ type: 'webhook', url: `${hooks.url}/never` }] }));
    await recorded(id, ({ state }) => state === 'retrying');
    const handle = client.workflow.getHandle(`notification-${id}-0`);
    await handle.cancel();
    expect(await handle.result()).toEqual({ outcome: 'givenUp' });
    expect(await recorded(id, ({ state }) => state === 'givenUp')).toMatchObject({
      detail: 'the address answered 500',
    });
  });
});

it('a job that a Temporal client starts must bring an address for e-mail too', async () => {
  const workflowId = 'brought-by-a-client';
  const args = [{ description: told('true'), owner: 'ann' }];
  const started = client.workflow.execute('jobWorkflow', { workflowId, taskQueue: taskQueues.workflows, args });
  const error = (await started.catch((failure: unknown) => failure)) as WorkflowFailedError;
  expect(String((error.cause as Error).message)).toMatch(/^there is no address to send e-mail notifications to/);
});

describe('a workflow', () => {
  const notifications = [{ event: 'workflowFinished', type: 'email' }];
  const named = (name: string, line: string, more = {}) => shellJob(line, { name, ...more });

  it('that is finished is told of after the instances that asked for it', async () => {
    const workflows = new WorkflowRest(await ann('scan@example.org'));
    const hook = { event: 'jobFinished', type: 'webhook', url: `${hooks.url}/instances`, secret };
    const id = await workflows.submit({
      name: 'scan',
      jobs: [named('point', 'true', { notifications: [hook] }), named('sum', 'true')],
      factories: [{ type: 'repeat', name: 'f', jobs: ['point'], number: 3, notifications: [email] }],
      dependencies: { point: ['sum'] },
      notifications,
    });
    const { subject, text } = await mail.to('scan@example.org');
    expect(subject).toBe(`Your PROMINENCE workflow with id ${id} (scan) has finished`);
    expect(text).toMatch(/^Succeeded: +4$/m);
    const calls = await hooks.callsTo('/instances', 3);
    const jobs = calls.map(({ body }) => (JSON.parse(body) as { data: { id: number; name: string } }).data);
    expect(jobs.map(({ name }) => name).sort()).toEqual(['scan/point/0', 'scan/point/1', 'scan/point/2']);
    expect(new Set(calls.map(({ headers }) => headers['webhook-id'])).size).toBe(3);

    const described = (await workflows.describe(id)) as unknown as { jobs: unknown[]; notifications: unknown };
    expect(described.notifications).toEqual(notifications);
    expect(described.jobs[0]).toMatchObject({ notifications: [{ ...hook, secret: '***' }] });
    const [instance] = await workflows.jobs(id);
    expect(instance!['notifications']).toEqual([{ ...hook, secret: '***' }]);
  });

  it('that failed, or was deleted, is told of too, and its jobs that went with it are not', async () => {
    const failing = new WorkflowRest(await ann('branch@example.org'));
    const failed = await failing.submit({
      jobs: [named('bad', 'exit 1'), named('never', 'true', { notifications: [email] })],
      dependencies: { bad: ['never'] },
      notifications,
    });
    const { subject, text } = await mail.to('branch@example.org');
    expect(subject).toBe(`Your PROMINENCE workflow with id ${failed} has failed`);
    expect(text).toMatch(/^Detail: +1 of 2 jobs failed \(\/bad\), 1 was not run$/m);

    const deleting = new WorkflowRest(await ann('enough@example.org'));
    const deleted = await deleting.submit({
      jobs: [named('long', longLine, { notifications: [email] }), named('after', 'true', { notifications: [email] })],
      dependencies: { long: ['after'] },
      notifications,
    });
    await deleting.rest.until(deleted + 1, ({ status }) => status === 'running');
    await deleting.delete(deleted);
    expect((await mail.to('enough@example.org')).subject).toBe(
      `Your PROMINENCE workflow with id ${deleted} was deleted`,
    );
    const sent = mail.received.flatMap(({ recipients }) => recipients);
    expect(sent.filter((to) => to === 'branch@example.org' || to === 'enough@example.org')).toHaveLength(2);
  });
});

it('Temporal knows of notifications by their ids only: no secret, address or URL is in any history', async () => {
  const secrets = [secret, webhookKey, login.password];
  const spoken = [...secrets, '@example.org', hooks.url, 'localhost'];
  const types = new Set<string>();
  for await (const { workflowId, type } of client.workflow.list()) {
    types.add(type);
    const history = textOf(await client.workflow.getHandle(workflowId).fetchHistory());
    expect(
      spoken.filter((words) => history.includes(words)),
      workflowId,
    ).toEqual([]);
    if (type === 'notificationWorkflow') expect(history).toMatch(/\{"id":\d+,"about":"(job|workflow)","position":\d\}/);
  }
  expect([...types]).toEqual(expect.arrayContaining(['jobWorkflow', 'dagWorkflow', 'notificationWorkflow']));
});

/** All of it, with the payloads as they are and not in base64. */
function textOf(value: unknown): string {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('utf8');
  if (typeof value === 'string') return value;
  if (typeof value !== 'object' || value === null) return '';
  return Object.values(value).map(textOf).join('\n');
}
