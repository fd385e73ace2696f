/** Nobody who reads the database finds a credential in it, and what needs one still gets it. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { jobTokenSigner } from '../../../activities/job-token.ts';
import { setValue } from '../../../api/key-value.ts';
import { findJob } from '../../../db/execution.ts';
import { keyRotation } from '../../../scheduler/key-rotation.ts';
import { sealing } from '../../../secrets/sealing.ts';
import { clientOf, finish, job, signingKey, startApi, type Client, type TestApi } from './api.ts';

const secret = 'hush-do-not-tell';
const keys = ['the newer key of the two, long enough', 'the older key of the two, long enough'] as [string, string];
const credential = { username: 'u', token: secret };
const task = { image: 'reg.example/x', runtime: 'singularity', cmd: 'date', imagePullCredential: credential };

let api: TestApi;
let client: Client;
beforeAll(async () => {
  api = await startApi({ secretsKeys: keys });
  client = await api.as('anna');
});
afterAll(() => api.close());

/** Names of tables in which the text is anywhere, in whatever column. */
async function tablesWith(text: string): Promise<string[]> {
  const { sql } = api.connection;
  const tables = await sql<{ name: string }[]>`
    select table_name as name from information_schema.tables where table_schema = 'public'`;
  expect(tables.length).toBeGreaterThan(10);
  const found: string[] = [];
  for (const { name } of tables) {
    const [row] = await sql<{ hits: number }[]>`
      select count(*)::int as hits from ${sql(name)} as t where t::text like ${`%${text}%`}`;
    if (row!.hits > 0) found.push(name);
  }
  return found;
}

/** As execution gets it. */
async function tokenOf(id: number, keysNow: string[] = keys): Promise<string | undefined> {
  const found = await findJob(api.connection.db, id);
  return sealing(keysNow).open(found!.description).tasks[0]!.imagePullCredential?.token;
}

test('jobs, workflows, their clones and reruns keep credentials that only we can read', async () => {
  const single = (await client.post('/jobs', job({ tasks: [task] }), { 'Idempotency-Key': 'k' })).json.id;
  const again = await client.post('/jobs', job({ tasks: [task] }), { 'Idempotency-Key': 'k' });
  expect(again.json.id).toBe(single);
  const workflow = (await client.post('/workflows', { name: 'w', jobs: [job({ name: 'a', tasks: [task] })] })).json.id;
  const clone = (await client.put(`/jobs/${single}/clone`)).json.id;
  const nodeClone = (await client.put(`/jobs/${workflow + 1}/clone`)).json.id;
  const workflowClone = (await client.put(`/workflows/${workflow}/clone`)).json.id;
  await finish(api.connection, workflow + 1, 'failed');
  await api.connection.sql`update workflows set status = 'failed', ended_at = now() where id = ${workflow}`;
  const rerun = (await client.put(`/workflows/${workflow}`)).json.id;

  const jobs = [single, workflow + 1, clone, nodeClone, workflowClone + 1, rerun + 1];
  expect(jobs.every(Number.isInteger)).toBe(true);
  for (const id of jobs) {
    expect(await tokenOf(id)).toBe(secret);
    const [shown] = (await client.get(`/jobs/${id}`)).json;
    expect(shown.tasks[0].imagePullCredential).toEqual({ username: 'u', token: '***' });
  }
  expect(await tablesWith(secret)).toEqual([]);
  // The search itself finds what is there, so that it proves something.
  expect((await tablesWith('reg.example/x')).sort()).toEqual(['jobs', 'workflow_steps', 'workflows']);
});

test('a rotated key still opens what it sealed, and a lost one is told', async () => {
  const { id } = (await client.post('/jobs', job({ tasks: [task] }))).json;
  expect(await tokenOf(id, ['a key that came later, long enough', keys[0]])).toBe(secret);
  await expect(tokenOf(id, [keys[1]])).rejects.toThrow(/which is not among secrets.keys/);
});

test('descriptions stay queryable beside their secrets', async () => {
  const { id } = (await client.post('/jobs', job({ name: 'asked', tasks: [task] }))).json;
  const [row] = await api.connection.sql`
    select id from jobs where submitted->>'name' = 'asked' and description->'tasks'->0->>'cmd' = 'date'`;
  expect(row?.['id']).toBe(id);
});

describe('a value marked as secret', () => {
  const hex = Buffer.from(secret).toString('hex');
  const set = (path: string, value: string, from = client) => from.request('POST', `/kv/${path}`, { body: value });
  const inside = async (): Promise<Client> => {
    const { id } = (await client.post('/jobs', job())).json as { id: number };
    await api.connection.sql`update jobs set status = 'running', attempt = 1, started_at = now() where id = ${id}`;
    const sign = jobTokenSigner(signingKey);
    const token = await sign({ username: 'anna', groups: [], job: id, attempt: 1 }, 60);
    return clientOf(api.app, { Authorization: `Bearer ${token}` });
  };

  test('is ciphertext in the database, masked in answers, and told to jobs and to who asks for it', async () => {
    expect((await set('plain/a', secret)).status).toBe(201);
    expect(await tablesWith(hex)).toEqual(['key_values']);
    await client.delete('/kv/plain/a');
    expect((await set('vault/token?secret=true', secret)).status).toBe(201);
    await set('vault/other', 'for all to see');
    expect([...(await tablesWith(hex)), ...(await tablesWith(secret))]).toEqual([]);

    const masked = await client.get('/kv/vault/token');
    expect(masked).toMatchObject({ status: 200, text: '***' });
    expect(masked.headers.get('x-secret')).toBe('masked');
    const revealed = await client.get('/kv/vault/token?reveal=true');
    expect(revealed.text).toBe(secret);
    expect([revealed.headers.get('cache-control'), revealed.headers.get('x-secret')]).toEqual(['no-store', 'revealed']);
    const ofJob = await inside();
    expect((await ofJob.get('/kv/vault/token')).text).toBe(secret);
    for (const from of [client, ofJob]) {
      expect((await from.get('/kv/vault?list=true&values')).json).toEqual([
        { '/vault/other': 'for all to see' },
        { '/vault/token': '***' },
      ]);
      expect((await from.get('/kv/vault?list=true')).json).toEqual(['/vault/other', '/vault/token']);
    }
    expect((await (await api.as('ben')).get('/kv/vault/token?reveal=true')).status).toBe(404);
  });

  test('stays one when it is set again, is compared and swapped by what it is, and can be unmarked', async () => {
    const swap = (prev: string, value: string) => set(`lock?prev=${prev}`, value);
    await set('lock?secret=true', secret);
    await set('lock', `${secret}-2`);
    expect((await swap(secret, 'x')).status).toBe(400);
    const swaps = await Promise.all(['a', 'b', 'c', 'd'].map((end) => swap(`${secret}-2`, `${secret}-${end}`)));
    expect(swaps.map(({ status }) => status).sort()).toEqual([201, 400, 400, 400]);
    expect((await client.get('/kv/lock')).text).toBe('***');
    expect((await client.get('/kv/lock?reveal=true')).text).toMatch(/^hush-do-not-tell-[abcd]$/);
    expect((await set('lock?secret=true&prev=', 'x')).status).toBe(400);
    expect(await tablesWith(hex)).toEqual([]);
    await set('lock?secret=false', 'open');
    expect((await client.get('/kv/lock')).text).toBe('open');
    expect((await set('lock?secret=maybe', 'x')).json).toEqual({ error: 'secret must be true or false, not "maybe"' });
  });

  test('is encrypted anew after a rotation, so that the old key can go', async () => {
    await set('rotated?secret=true', secret);
    const newest = 'the newest key of the three, long enough';
    const rotated = async (...now: string[]) => {
      const next = keyRotation(api.connection.db, sealing(now).values!, 1);
      const sum = { rotated: 0, unreadable: 0 };
      for (let isMore = true; isMore;) {
        const page = await next();
        isMore = page.isMore;
        sum.rotated += page.rotated;
        sum.unreadable += page.unreadable;
      }
      return sum;
    };
    expect((await rotated(newest, ...keys)).unreadable).toBe(0);
    expect(await rotated(newest, ...keys)).toEqual({ rotated: 0, unreadable: 0 });
    const [row] = await api.connection.sql`select value, sealed_with as "keyId" from key_values where key = 'rotated'`;
    const alone = sealing([newest]).values!;
    expect(alone.decrypt({ keyId: row!['keyId'] as string, bytes: row!['value'] as Buffer }).toString()).toBe(secret);
    // Where the key of a value is missing, others go on.
    await api.connection.sql`
      insert into key_values (owner, key, value, sealed_with) values ('a user before all others', 'lost', 'x', 'a lost key')`;
    const missing = await rotated(keys[0]);
    expect(missing).toMatchObject({ rotated: 0 });
    expect(missing.unreadable).toBeGreaterThan(1);
    expect(await rotated(keys[0], newest)).toMatchObject({ unreadable: 1, rotated: missing.unreadable - 1 });
    expect((await client.get('/kv/rotated?reveal=true')).text).toBe(secret);
  });

  test('of a key that is gone can be set again, and nothing else', async () => {
    const before = { db: api.connection.db, sealing: sealing(['a key of before that is gone by now']) };
    const value = { value: Buffer.from(secret), asSecret: true, expected: { kind: 'any' as const } };
    expect(await setValue(before, { owner: 'anna', key: 'orphan' }, value, 1000)).toBe('set');
    const refusal = { status: 400, json: { error: expect.stringMatching(/no key any more .*: set it again$/) } };
    expect(await client.get('/kv/orphan?reveal=true')).toMatchObject(refusal);
    expect(await set(`orphan?prev=${secret}`, 'x')).toMatchObject(refusal);
    expect(await client.get('/kv/orphan')).toMatchObject({ status: 200, text: '***' });
    expect((await set('orphan', 'new')).status).toBe(201);
    expect((await client.get('/kv/orphan?reveal=true')).text).toBe('new');
  });

  test('is not stored at all where there is no key', async () => {
    const keyless = { db: api.connection.db, sealing: sealing([]) };
    const value = { value: Buffer.from(secret), asSecret: true, expected: { kind: 'any' as const } };
    expect(await setValue(keyless, { owner: 'anna', key: 'token' }, value, 10)).toBe('unsealable');
    expect((await client.get('/kv/token')).status).toBe(404);
  });
});
