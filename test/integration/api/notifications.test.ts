/** What a server accepts, refuses and shows of notifications, by how it is set up and what a token tells. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { issueToken } from '../../../api/auth/tokens.ts';
import { clientOf, job, signingKey, startApi, type Client, type TestApi } from './api.ts';

const email = { event: 'jobFinished', type: 'email' };
const secret = 'a secret of sixteen or more';
const hook = { event: 'jobFinished', type: 'webhook', url: 'https://example.org/hook', secret };
const smtp = { host: 'localhost', port: 25, security: 'none' as const, from: 'p@example.org' };

let api: TestApi;
let anna: Client;
let nameless: Client;

beforeAll(async () => {
  api = await startApi({ notifications: { smtp, webhooks: { allowPrivateAddresses: false } } });
  const token = await issueToken(signingKey, { username: 'anna', email: 'anna@example.org', expiresSeconds: 3600 });
  anna = clientOf(api.app, { Authorization: `Bearer ${token}` });
  nameless = await api.as('anna');
});
afterAll(() => api?.close());

const workflow = (notifications: unknown[]) => ({
  jobs: [job({ name: 'a', notifications: [hook] })],
  // Ignored, as docs/wire.md 4.2 has it.
  factories: [{ type: 'repeat', name: 'f', jobs: ['a'], number: 1, notifications: [hook] }],
  notifications,
});
const workflowEmail = { ...email, event: 'workflowFinished' };

describe('a server that sends e-mail', () => {
  test('accepts what asks for it, when it knows the address', async () => {
    const { status, json } = await anna.post('/jobs', job({ notifications: [email] }));
    expect(status).toBe(201);
    expect(await api.connection.sql`select email from jobs where id = ${json.id}`).toEqual([
      { email: 'anna@example.org' },
    ]);
    expect((await anna.post('/workflows', workflow([workflowEmail]))).status).toBe(201);
  });

  test('refuses a job or workflow of somebody whose token tells no address', async () => {
    const refusal = { status: 400, json: { error: expect.stringMatching(/^there is no address .*claim email/) } };
    expect(await nameless.post('/jobs', job({ notifications: [email] }))).toMatchObject(refusal);
    expect(await nameless.post('/workflows', workflow([workflowEmail]))).toMatchObject(refusal);
    expect((await nameless.post('/jobs', job({ notifications: [hook] }))).status).toBe(201);
  });

  test('refuses webhooks without a secret while it has no key of its own', async () => {
    const { secret: _, ...unsigned } = hook;
    expect(await anna.post('/jobs', job({ notifications: [unsigned] }))).toMatchObject({
      status: 400,
      json: { error: expect.stringMatching(/^this server has no key to sign webhooks with/) },
    });
  });
});

test('a secret is in no answer: not of jobs, workflows, their jobs, clones, nor refusals', async () => {
  const { json: created } = await anna.post('/jobs', job({ notifications: [hook] }));
  const { json: made } = await anna.post('/workflows', workflow([{ ...hook, event: 'workflowFinished' }]));
  const { json: clone } = await anna.put(`/jobs/${created.id}/clone`);
  const answers = await Promise.all([
    anna.get(`/jobs/${created.id}`),
    anna.get(`/jobs/${clone.id}`),
    anna.get(`/jobs/${made.id + 1}`),
    anna.get('/jobs?detail=true'),
    anna.get(`/jobs?id=${made.id}&workflow=true&detail=true`),
    anna.get(`/workflows/${made.id}`),
    anna.get('/workflows?detail=true'),
    anna.get(`/workflows/${made.id}/graph`),
    anna.post('/workflows?dryrun=true', workflow([{ ...hook, event: 'workflowFinished' }])),
    anna.post('/jobs', job({ notifications: [{ ...hook, secret: `${secret}${'!'.repeat(300)}` }] })),
  ]);
  for (const { text } of answers) expect(text).not.toContain(secret);
  expect(answers.map(({ text }) => text.includes('"secret":"***"'))).toEqual([
    true,
    true,
    true,
    true,
    true,
    true,
    true,
    false,
    false,
    false,
  ]);
  const [stored] = await api.connection.sql`select description->'notifications' as it from jobs where id = ${clone.id}`;
  expect(stored!['it']).toEqual([hook]);
});
