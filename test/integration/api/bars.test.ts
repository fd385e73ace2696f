/** Operators shut out an owner or a group at once: whatever their token, and with all that they have under way. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { jobTokenSigner } from '../../../activities/job-token.ts';
import { createApi } from '../../../api/app.ts';
import { endBarred } from '../../../db/bars.ts';
import { clientOf, createJob, job, signingKey, startApi, type Client, type TestApi } from './api.ts';

let api: TestApi;
let operator: Client;
let counter = 0;
let owner: string;
let anna: Client;

beforeAll(async () => {
  api = await startApi({ servesObjects: true });
  operator = await api.as('olga', 'operators');
});
afterAll(() => api.close());
beforeEach(async () => {
  owner = `anna${(counter += 1)}`;
  anna = await api.as(owner, 'lab', 'others');
});

const bar = (path: string, reason?: string) =>
  operator.request(
    'PUT',
    `/operators/bars/${path}`,
    reason === undefined ? {} : { body: JSON.stringify({ reason }), headers: { 'Content-Type': 'application/json' } },
  );
const refusal = (words: string) => ({
  status: 403,
  json: { error: `The operators of this service have barred ${words}` },
});

describe('a bar', () => {
  test('refuses the token of the owner, those of jobs and a signed URL, and tells the reason', async () => {
    const id = await createJob(anna);
    await api.connection.sql`update jobs set status = 'running', attempt = 1, started_at = now() where id = ${id}`;
    const token = await jobTokenSigner(signingKey)({ username: owner, groups: ['lab'], job: id, attempt: 1 }, 60);
    const inside = clientOf(api.app, { Authorization: `Bearer ${token}` });
    const { url } = (await anna.post('/data/upload', { filename: 'x' })).json as { url: string };
    const output = await inside.get('/jobs');
    expect(output.status).toBe(200);

    expect((await bar(`owners/${owner}`, 'mines coins')).json).toEqual({ ended: 1 });
    for (const client of [anna, inside]) {
      expect(await client.get('/jobs')).toMatchObject(refusal('you: mines coins'));
      expect(await client.post('/jobs', job())).toMatchObject(refusal('you: mines coins'));
    }
    expect((await api.app.request(url, { method: 'PUT', body: 'bytes' })).status).toBe(403);
    expect(await api.store.head(`uploads/users/${owner}/x`)).toBeUndefined();
    // Nobody else is.
    const bob = await api.as('bob', 'lab');
    expect((await bob.get('/jobs')).status).toBe(200);
  });

  test('ends what waits and what runs, jobs and workflows, also what came in the same moment', async () => {
    const [waiting, running] = [await createJob(anna), await createJob(anna)];
    await api.connection.sql`update jobs set status = 'running', attempt = 1 where id = ${running}`;
    const workflow = (await anna.post('/workflows', { jobs: [job({ name: 'a' })] })).json.id as number;
    const bobs = await createJob(await api.as('bob'));
    expect((await bar(`owners/${owner}`)).json).toEqual({ ended: 3 });
    const told = await api.connection.sql`
      select payload from outbox where kind in ('deleteJob', 'deleteWorkflow') order by id`;
    const ids = told.map(({ payload }) => Object.values(payload as object)[0] as number);
    expect(ids).toEqual(expect.arrayContaining([waiting, running, workflow]));
    expect(ids).not.toContain(bobs);
    // The statement of a request that was let in before may come after.
    await api.connection.sql`update jobs set delete_requested_at = null where id = ${waiting}`;
    expect(await endBarred(api.connection.db)).toBe(1);
    expect(await endBarred(api.connection.db)).toBe(0);
  });

  test('of a group is about all its members, and what they submitted as such', async () => {
    const group = `group${counter}`;
    const member = await api.as(owner, group);
    await createJob(member);
    expect((await bar(`groups/${group}`, 'over')).json).toEqual({ ended: 1 });
    expect(await member.get('/jobs')).toMatchObject(refusal(`the group ${group}: over`));
    expect((await anna.get('/jobs')).status).toBe(200);
    await operator.delete(`/operators/bars/groups/${group}`);
    expect((await member.get('/jobs')).status).toBe(200);
  });

  test('is known to other processes within a second, and is listed and taken away by operators only', async () => {
    const other = createApi({ ...api.dependencies, bars: api.otherBars() });
    const elsewhere = clientOf(other, { Authorization: await api.authorization(owner) });
    expect((await elsewhere.get('/jobs')).status).toBe(200);
    await bar(`owners/${owner}`);
    await expect.poll(async () => (await elsewhere.get('/jobs')).status, { timeout: 2000 }).toBe(403);

    const listed = (await operator.get('/operators/bars')).json as unknown[];
    expect(listed).toContainEqual({
      kind: 'owner',
      name: owner,
      reason: null,
      barredBy: 'olga',
      barredAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
    });
    const bob = await api.as('bob', 'lab');
    for (const [method, path] of [
      ['GET', '/operators/bars'],
      ['PUT', `/operators/bars/owners/olga`],
      ['DELETE', `/operators/bars/owners/${owner}`],
    ] as const) {
      expect((await bob.request(method, path)).status, path).toBe(403);
    }
    expect((await operator.delete(`/operators/bars/owners/${owner}`)).status).toBe(200);
    expect((await operator.delete(`/operators/bars/owners/${owner}`)).json).toEqual({
      error: `There is no bar of the owner ${owner}`,
    });
    expect((await anna.get('/jobs')).status).toBe(200);
  });
});
