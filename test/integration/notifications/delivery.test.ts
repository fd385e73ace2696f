/** From the statement that ends something to a real mail server and a real HTTP server, without Temporal in between. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import PostalMime from 'postal-mime';
import { Webhook } from 'standardwebhooks';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createNotificationActivities, type NotificationDependencies } from '../../../activities/notifications.ts';
import type { SmtpConfig } from '../../../config/config.ts';
import type { Connection } from '../../../db/connection.ts';
import { endJob } from '../../../db/execution.ts';
import { recordAttempt } from '../../../db/notifications.ts';
import { cloneJob, submitJob } from '../../../db/submissions.ts';
import { closeJobs } from '../../../db/unrun-jobs.ts';
import { endWorkflow, releaseSteps } from '../../../db/workflow-execution.ts';
import { sealing } from '../../../secrets/sealing.ts';
import { cloneWorkflow, rerunWorkflow, submitWorkflow } from '../../../db/workflow-submissions.ts';
import { parseJobDescription } from '../../../descriptions/job.ts';
import { parseWorkflowDescription } from '../../../descriptions/workflow.ts';
import type { NotificationRef } from '../../../domain/notification.ts';
import { reasons } from '../../../domain/reasons.ts';
import { terminalStatuses, type TerminalStatus } from '../../../domain/status.ts';
import { createMailFolder } from '../../../notifications/mail-folder.ts';
import { createMailer } from '../../../notifications/mail.ts';
import { createWebhookCaller } from '../../../notifications/webhook.ts';
import { makeCertificate, type TestCertificate } from '../../ground/certificate.ts';
import { startMailServer, type MailServer } from '../../ground/mail-server.ts';
import { shellJob } from '../../ground/running-stack.ts';
import { startWebhookReceiver, type WebhookReceiver } from '../../ground/webhook-receiver.ts';
import { startDatabase, type TestDatabase } from '../api/postgres.ts';

let database: TestDatabase;
let connection: Connection;
let mail: MailServer;
let hooks: WebhookReceiver;
const secret = 'a secret that only the receiver knows';
const webhookKey = `whsec_${Buffer.from('the key of the whole installation').toString('base64')}`;

beforeAll(async () => {
  database = await startDatabase();
  connection = database.connection;
  mail = await startMailServer();
  hooks = await startWebhookReceiver();
});
afterAll(async () => {
  hooks?.close();
  await mail?.goAway();
  await database?.destroy();
});

const smtp = (more: Partial<SmtpConfig> = {}): SmtpConfig => ({
  host: '127.0.0.1',
  port: mail.port,
  security: 'none',
  from: 'PROMINENCE <batch@example.org>',
  ...more,
});

function activities(changes: Partial<NotificationDependencies> = {}) {
  return createNotificationActivities({
    db: connection.db,
    sealing: sealing([]),
    mailer: createMailer(smtp()),
    webhooks: createWebhookCaller({ allowPrivateAddresses: true }),
    webhookKey,
    apiUrl: 'https://api.example.org/v1',
    log: pino({ level: 'silent' }),
    ...changes,
  });
}

const email = { event: 'jobFinished', type: 'email' };
const identityOf = (address: string | undefined) => ({
  owner: 'ann',
  groups: [],
  ...(address === undefined ? {} : { email: address }),
});

async function submitted(notifications: unknown[], address?: string): Promise<number> {
  const parsed = parseJobDescription(shellJob('true', { notifications }));
  if (parsed.kind === 'invalid') throw new Error(parsed.issues[0]!.message);
  const { submitted, description } = parsed;
  return (await submitJob(connection.db, { identity: identityOf(address), submitted, description })).id;
}

const ended = (jobId: number, status: TerminalStatus = 'completed') =>
  connection.db.transaction((tx) =>
    endJob(tx, {
      jobId,
      attempt: 0,
      status,
      tasks: [{ exitCode: 7 }],
      retries: 0,
      succeeded: status === 'completed',
    }),
  );

const aboutJob = (id: number, position = 0): NotificationRef => ({ about: 'job', id, position });

async function finished(notifications: unknown[], address?: string): Promise<NotificationRef> {
  const id = await submitted(notifications, address);
  await ended(id);
  return aboutJob(id);
}

async function announced(...ids: number[]) {
  const rows = await connection.sql<{ target: string; payload: NotificationRef }[]>`
    select target, payload from outbox where kind = 'notify' and (payload->>'id')::int = any(${ids}::int[]) order by id`;
  return [...rows];
}

async function recorded({ id, position }: NotificationRef) {
  const [row] = await connection.sql`
    select state, attempts, detail from notifications where subject_id = ${id} and position = ${position}`;
  return row;
}

describe('what ends', () => {
  it.each(terminalStatuses)('is announced with its terminal state, once, and told by e-mail: %s', async (status) => {
    const address = `${status}@example.org`;
    const id = await submitted([email], address);
    expect(await announced(id)).toEqual([]);
    await ended(id, status);
    await ended(id, 'failed');
    const [message, ...more] = await announced(id);
    expect(message).toEqual({ target: `notification-${id}-0`, payload: aboutJob(id) });
    expect(more).toEqual([]);

    expect(await activities().notify(message!.payload)).toEqual({ outcome: 'delivered' });
    const received = await mail.to(address);
    expect(received).toMatchObject({
      recipients: [address],
      from: { name: 'PROMINENCE', address: 'batch@example.org' },
      subject: expect.stringMatching(new RegExp(`^Your PROMINENCE job with id ${id} \\(test\\) (has|was) `)),
    });
    expect(received.text).toMatch(new RegExp(`^Status: +${status}$`, 'm'));
    expect(received.text).toMatch(/^Exit code of each task: +7$/m);
    expect(await recorded(message!.payload)).toEqual({ state: 'delivered', attempts: 1, detail: null });
  });

  it('announces each of several notifications, and nothing where none was asked for', async () => {
    const several = await submitted([email, { type: 'webhook', url: hooks.url }, email], 'a@example.org');
    const none = await submitted([]);
    await ended(several);
    await ended(none);
    expect((await announced(several, none)).map(({ target }) => target)).toEqual(
      [0, 1, 2].map((position) => `notification-${several}-${position}`),
    );
  });

  it('keeps the address of the owner when a job is cloned with a token that does not tell it', async () => {
    const id = await submitted([email], 'kept@example.org');
    const clone = await cloneJob(connection.db, identityOf(undefined), id);
    const other = await cloneJob(connection.db, identityOf('new@example.org'), id);
    expect(await connection.sql`select email from jobs where id in (${clone!.id}, ${other!.id}) order by id`).toEqual([
      { email: 'kept@example.org' },
      { email: 'new@example.org' },
    ]);
  });
});

describe('a workflow', () => {
  const document = (name: string) => ({
    name,
    jobs: [
      shellJob('true', { name: 'first', notifications: [email] }),
      shellJob('true', { name: 'many', notifications: [email, { type: 'webhook', url: hooks.url }] }),
      shellJob('true', { name: 'quiet' }),
    ],
    dependencies: { first: ['many', 'quiet'] },
    factories: [{ type: 'repeat', name: 'f', jobs: ['many'], number: 2, notifications: [email] }],
    notifications: [{ event: 'workflowFinished', type: 'email' }],
  });

  async function submit(name: string, address: string): Promise<number> {
    const parsed = parseWorkflowDescription(document(name));
    if (parsed.kind === 'invalid') throw new Error(parsed.issues[0]!.message);
    const { submitted, description } = parsed;
    return (await submitWorkflow(connection.db, { identity: identityOf(address), submitted, description })).id;
  }

  const all = (id: number) => announced(id, id + 1, id + 2, id + 3, id + 4);

  it('is told of once, with the counts of its jobs, and so is each job that asked for it', async () => {
    const id = await submit('whole', 'whole@example.org');
    await releaseSteps(connection.db, id, [0, 1, 2]);
    for (const job of [1, 2, 3, 4]) await ended(id + job);
    expect(await endWorkflow(connection.db, id, false)).toBe('completed');
    expect(await endWorkflow(connection.db, id, false)).toBe('completed');
    expect((await all(id)).map(({ target }) => target)).toEqual([
      `notification-${id + 1}-0`,
      `notification-${id + 2}-0`,
      `notification-${id + 2}-1`,
      `notification-${id + 3}-0`,
      `notification-${id + 3}-1`,
      `notification-${id}-0`,
    ]);
    await activities().notify({ about: 'workflow', id, position: 0 });
    const { subject, text } = await mail.to('whole@example.org');
    expect(subject).toBe(`Your PROMINENCE workflow with id ${id} (whole) has finished`);
    expect(text).toMatch(/^Jobs: +4$/m);
    expect(text).toMatch(/^Succeeded: +4$/m);

    const rerun = await rerunWorkflow(connection.db, identityOf(undefined), id);
    if (rerun.kind !== 'accepted') throw new Error(rerun.kind);
    // What is kept has been told of before.
    expect(await all(rerun.id)).toEqual([]);
    const clone = await cloneWorkflow(connection.db, identityOf(undefined), id);
    expect(await connection.sql`select email from workflows where id in (${rerun.id}, ${clone!.id})`).toEqual([
      { email: 'whole@example.org' },
      { email: 'whole@example.org' },
    ]);
  });

  it('that failed is told of, and the jobs that were not run are not', async () => {
    const id = await submit('partly', 'partly@example.org');
    await releaseSteps(connection.db, id, [0]);
    await ended(id + 1, 'failed');
    await closeJobs(connection.db, { workflowId: id, which: 'skipped', steps: [1, 2] }, 100);
    expect(await endWorkflow(connection.db, id, false)).toBe('failed');
    expect((await all(id)).map(({ target }) => target)).toEqual([`notification-${id + 1}-0`, `notification-${id}-0`]);
    await activities().notify({ about: 'workflow', id, position: 0 });
    const { text } = await mail.to('partly@example.org');
    expect(text).toMatch(/^Status: +failed$/m);
    expect(text).toMatch(/^Not run: +3$/m);
  });

  it('that is deleted is told of, and the jobs that went with it are not, running or waiting', async () => {
    const id = await submit('gone', 'gone@example.org');
    await releaseSteps(connection.db, id, [0]);
    await ended(id + 1, 'deleted');
    await closeJobs(connection.db, { workflowId: id, which: 'neverStarted' }, 100);
    expect(await endWorkflow(connection.db, id, true)).toBe('deleted');
    expect(await connection.sql`select status_reason as reason from jobs where id = ${id + 1}`).toEqual([
      { reason: reasons.deletedWithWorkflow },
    ]);
    expect((await all(id)).map(({ target }) => target)).toEqual([`notification-${id}-0`]);
    await activities().notify({ about: 'workflow', id, position: 0 });
    expect((await mail.to('gone@example.org')).subject).toMatch(/was deleted$/);
  });
});

describe('an e-mail', () => {
  it('is sent again after a crash under the same Message-ID, and not at all once that it was sent is recorded', async () => {
    const ref = await finished([email], 'again@example.org');
    await activities().notify(ref);
    await activities().notify(ref);
    const sent = () => mail.received.filter(({ recipients }) => recipients.includes('again@example.org'));
    expect(sent()).toHaveLength(1);
    await connection.sql`delete from notifications where subject_id = ${ref.id}`;
    await activities().notify(ref);
    const [first, second, ...more] = sent();
    expect(more).toEqual([]);
    expect(first!.messageId).toMatch(/^<[0-9a-f-]{36}\.0@example\.org>$/);
    expect(second!.messageId).toBe(first!.messageId);
    expect(second!.text).toBe(first!.text);
  });

  it('is tried again after refusals that pass, and given up after one that does not, with the reason', async () => {
    mail.refuse('full@example.org', 452);
    const later = await finished([email], 'full@example.org');
    await expect(activities().notify(later)).rejects.toThrow(/^not delivered: table notifications/);
    await expect(activities().notify(later)).rejects.toThrow('not delivered');
    expect(await recorded(later)).toEqual({
      state: 'retrying',
      attempts: 2,
      detail: expect.stringMatching(/452 no full@example\.org here/),
    });
    expect(await activities().giveUpNotifying(later)).toEqual({ outcome: 'givenUp' });
    expect(await recorded(later)).toMatchObject({
      state: 'givenUp',
      attempts: 2,
      detail: expect.stringMatching(/452/),
    });

    mail.refuse('nobody@example.org', 550);
    const never = await finished([email], 'nobody@example.org');
    expect(await activities().notify(never)).toEqual({ outcome: 'givenUp' });
    expect(await recorded(never)).toEqual({
      state: 'givenUp',
      attempts: 1,
      detail: expect.stringMatching(/550 no nobody@example\.org here/),
    });
    expect(await activities().notify(never)).toEqual({ outcome: 'givenUp' });
    expect(await recorded(never)).toMatchObject({ attempts: 1 });
  });

  it('that was delivered is not given up by a Temporal that did not hear of it', async () => {
    const ref = await finished([email], 'heard@example.org');
    await activities().notify(ref);
    expect(await activities().giveUpNotifying(ref)).toEqual({ outcome: 'delivered' });
    expect(await recorded(ref)).toEqual({ state: 'delivered', attempts: 1, detail: null });
  });

  it('that was given up stays so when a late attempt fails, and counts as delivered when it did not', async () => {
    const ref = await finished([email], 'late@example.org');
    await activities().giveUpNotifying(ref);
    expect(await recorded(ref)).toEqual({ state: 'givenUp', attempts: 0, detail: 'no attempt came to an end' });
    await recordAttempt(connection.db, ref, 'retrying', 'too late');
    expect(await recorded(ref)).toMatchObject({ state: 'givenUp', detail: 'no attempt came to an end' });
    await recordAttempt(connection.db, ref, 'delivered', null);
    expect(await recorded(ref)).toEqual({ state: 'delivered', attempts: 1, detail: null });
  });

  it('goes to one address, whatever the claim of a token looks like', async () => {
    const ref = await finished([email], 'eve@example.org, bob@example.org');
    await activities().notify(ref);
    expect(mail.received.filter(({ recipients }) => recipients.includes('bob@example.org'))).toEqual([]);
    expect(await recorded(ref)).toMatchObject({ state: 'givenUp' });
  });

  it('without an address, or without a mail server, is given up with the reason', async () => {
    const unknown = await finished([email]);
    expect(await activities().notify(unknown)).toEqual({ outcome: 'givenUp' });
    expect(await recorded(unknown)).toMatchObject({ detail: 'the address of the owner is not known' });
    const ref = await finished([email], 'patient@example.org');
    const { mailer: _, ...without } = { ...deps() };
    expect(await createNotificationActivities(without).notify(ref)).toEqual({ outcome: 'givenUp' });
    expect(await recorded(ref)).toMatchObject({
      state: 'givenUp',
      detail: 'this server sends no e-mail: it has no notifications.smtp',
    });
  });

  it('is kept as a file where there is a folder for it, whether or not the address is known', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'prominence-mail-'));
    try {
      const mailer = createMailFolder(folder);
      for (const address of ['kept@example.org', undefined]) {
        expect(await activities({ mailer }).notify(await finished([email], address))).toEqual({ outcome: 'delivered' });
      }
      const files = readdirSync(folder);
      expect(files.map((name) => name.replace(/^.*\./, ''))).toEqual(['eml', 'eml']);
      const parsed = await Promise.all(files.map((name) => PostalMime.parse(readFileSync(join(folder, name)))));
      expect(parsed.map(({ to }) => to?.[0]?.address).sort()).toEqual(['kept@example.org', 'unknown@localhost']);
      for (const { subject, text } of parsed) {
        expect(subject).toMatch(/^Your PROMINENCE job with id \d+/);
        expect(text).toMatch(/^Status: +/m);
      }
      const gone = await createMailFolder(join(folder, 'nowhere')).send({
        to: 'a@b.c',
        id: 'x',
        subject: 's',
        text: 't',
      });
      expect(gone).toMatchObject({ kind: 'failed', reason: expect.stringMatching(/could not be kept: ENOENT/) });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  const deps = (): NotificationDependencies => ({
    db: connection.db,
    sealing: sealing([]),
    webhooks: createWebhookCaller({ allowPrivateAddresses: true }),
    apiUrl: '',
    log: pino({ level: 'silent' }),
  });
});

describe('a mail server', () => {
  let certificate: TestCertificate;
  beforeAll(() => (certificate = makeCertificate()));
  afterAll(() => certificate?.remove());
  const message = { to: 'a@example.org', id: 'x', subject: 's', text: 't' };

  it('that is away, or does not encrypt what must be encrypted, is tried again', async () => {
    const closed = await createMailer(smtp({ port: 1 })).send(message);
    expect(closed).toMatchObject({ kind: 'failed', reason: expect.stringMatching(/ECONNREFUSED/) });
    const plain = await createMailer(smtp({ security: 'starttls' })).send(message);
    expect(plain).toMatchObject({ kind: 'failed' });
    expect(mail.received.filter(({ recipients }) => recipients.includes('a@example.org'))).toEqual([]);
  });

  it('with a certificate that nobody vouches for is not told anything', async () => {
    const { cert, key } = certificate;
    const tls = await startMailServer({ tls: { cert, key, user: 'me', password: 'pw' } });
    const mailer = createMailer(
      smtp({ host: 'localhost', port: tls.port, security: 'starttls', user: 'me', password: 'pw' }),
    );
    expect(await mailer.send(message)).toMatchObject({ kind: 'failed', reason: expect.stringMatching(/self-signed/) });
    expect(tls.received).toEqual([]);
    await tls.goAway();
  });
});

describe('a webhook', () => {
  const hook = (path: string, more = {}) => ({ type: 'webhook', url: `${hooks.url}${path}`, ...more });

  it('is called with a small document that its own secret signs, or else the key of the installation', async () => {
    const id = await submitted([hook('/own', { secret }), hook('/common')]);
    await ended(id);
    for (const position of [0, 1]) await activities().notify(aboutJob(id, position));
    const [own] = await hooks.callsTo('/own');
    const [common] = await hooks.callsTo('/common');
    expect(own).toMatchObject({ method: 'POST', headers: { 'content-type': 'application/json' } });
    expect(new Webhook(Buffer.from(secret), { format: 'raw' }).verify(own!.body, own!.headers)).toMatchObject({
      type: 'jobFinished',
      data: {
        id,
        name: 'test',
        owner: 'ann',
        status: 'completed',
        exitCodes: [7],
        url: `https://api.example.org/v1/jobs/${id}`,
      },
    });
    new Webhook(webhookKey).verify(common!.body, common!.headers);
    expect(() => new Webhook(webhookKey).verify(own!.body, own!.headers)).toThrow();
    expect(own!.headers['webhook-id']).not.toBe(common!.headers['webhook-id']);
  });

  it('is called again with the same id and document until it answers that it has it', async () => {
    const ref = await finished([hook('/later')]);
    hooks.answer('/later', 503);
    await expect(activities().notify(ref)).rejects.toThrow('not delivered');
    expect(await recorded(ref)).toMatchObject({ state: 'retrying', detail: 'the address answered 503' });
    hooks.answer('/later', 200);
    expect(await activities().notify(ref)).toEqual({ outcome: 'delivered' });
    const [first, second] = await hooks.callsTo('/later', 2);
    expect(second!.headers['webhook-id']).toBe(first!.headers['webhook-id']);
    expect(second!.body).toBe(first!.body);
    expect(await recorded(ref)).toEqual({ state: 'delivered', attempts: 2, detail: null });
  });

  it('that is gone is given up, and a redirect is not followed', async () => {
    hooks.answer('/gone', 410);
    expect(await activities().notify(await finished([hook('/gone')]))).toEqual({ outcome: 'givenUp' });
    hooks.answer('/moved', 307, { location: `${hooks.url}/elsewhere` });
    const moved = await finished([hook('/moved')]);
    await expect(activities().notify(moved)).rejects.toThrow('not delivered');
    expect(await recorded(moved)).toMatchObject({ detail: expect.stringMatching(/307, a redirect/) });
    expect(hooks.calls.filter(({ path }) => path === '/elsewhere')).toEqual([]);
  });

  it('that does not answer is tried again', async () => {
    hooks.answer('/silent', null);
    const ref = await finished([hook('/silent')]);
    await expect(activities().notify(ref)).rejects.toThrow('not delivered');
    expect(await recorded(ref)).toMatchObject({ detail: 'there was no answer within 15 seconds' });
  });

  it.each([
    'http://127.0.0.1',
    'http://localhost',
    'http://[::1]',
    'http://[::ffff:127.0.0.1]',
    'http://2130706433',
    'http://0.0.0.0',
    'http://[::]',
    'http://10.1.2.3',
    'http://192.168.0.1',
    'http://169.254.169.254',
    'http://[fe80::1]',
    'http://[fd00::1]',
    'https://127.0.0.1',
    'https://localhost',
  ])('at an address that is not public is not called: %s', async (origin) => {
    const { port } = new URL(hooks.url);
    const before = hooks.calls.length;
    const webhooks = createWebhookCaller({ allowPrivateAddresses: false });
    const ref = await finished([{ type: 'webhook', url: `${origin}:${port}/inside` }]);
    expect(await activities({ webhooks }).notify(ref)).toEqual({ outcome: 'givenUp' });
    expect(await recorded(ref)).toMatchObject({ detail: expect.stringMatching(/is not a public address/) });
    expect(hooks.calls).toHaveLength(before);
  });
});
