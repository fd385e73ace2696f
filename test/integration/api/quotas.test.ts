/** What one owner may have and do: shown in one route, refused with the numbers, and never much more than it says. */
import { ReadableStream } from 'node:stream/web';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { quotaKeeper } from '../../../service/quotas.ts';
import { publishOutputs } from '../../../db/execution.ts';
import { announcePut, recordObject } from '../../../db/quotas.ts';
import { settlePuts } from '../../../scheduler/settle-puts.ts';
import { createJob, finish, job, startApi, type Client, type TestApi } from './api.ts';

let api: TestApi;
let owner: string;
let anna: Client;
let counter = 0;

beforeAll(async () => {
  api = await startApi({
    servesObjects: true,
    quotas: { unfinishedJobs: 20, submitsPerMinute: 30, storedGb: 1e-6, uploadGb: 5e-7, jobOutputGb: 5e-7 },
  });
});
afterAll(() => api.close());
beforeEach(async () => {
  owner = `anna${(counter += 1)}`;
  anna = await api.as(owner);
});

const statuses = (answers: { status: number }[]) => answers.map(({ status }) => status).sort();
const workflow = (number: number) => ({
  jobs: [job({ name: 'a' })],
  factories: [{ name: 'f', type: 'repeat', jobs: ['a'], number }],
});

describe('quotas', () => {
  test('are shown with what is used', async () => {
    await createJob(anna);
    await anna.post('/workflows', workflow(5));
    await recordObject(api.connection.db, { key: `k${counter}`, owner, kind: 'output', size: 123 });
    const shown = async () => (await anna.get('/quotas')).json as unknown;
    await expect.poll(shown, { timeout: 3000 }).toEqual({
      unfinishedJobs: { limit: 20, used: 6 },
      submitsPerMinute: { limit: 30, used: 2 },
      storedBytes: { limit: 1000, used: 123 },
      uploadBytes: { limit: 500 },
      jobOutputBytes: { limit: 500 },
      imageBytes: { limit: 50e9 },
    });
  });

  test('of unfinished jobs hold for submits at the same moment, and for what ends there is room again', async () => {
    const answers = await Promise.all(Array.from({ length: 25 }, () => anna.post('/jobs', job())));
    expect(statuses(answers)).toEqual([...Array(20).fill(201), ...Array(5).fill(403)]);
    expect(answers.find(({ status }) => status === 403)!.json.error).toBe(
      'You have 20 jobs that have not ended, and may have 20: with this one they would be more. Wait for some to end, or delete some',
    );
    const id = (answers.find(({ status }) => status === 201)!.json as { id: number }).id;
    await finish(api.connection, id);
    await expect.poll(async () => (await anna.put(`/jobs/${id}/clone`)).status, { timeout: 3000 }).toBe(201);
    // Another owner has a limit of its own.
    await createJob(await api.as(`bob${counter}`));
  });

  test('of unfinished jobs refuse nobody for what ended meanwhile, and admit no more than there is room for', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    try {
      const limits = {
        unfinishedJobs: 20,
        submitsPerMinute: 1000,
        storedGb: 1,
        uploadGb: 1,
        jobOutputGb: 1,
        imageGb: 1,
      };
      const keeper = quotaKeeper(api.connection.db, limits);
      const ids: number[] = [];
      for (let i = 0; i < 18; i += 1) ids.push(await createJob(anna));
      expect((await keeper.show(owner))['unfinishedJobs']).toEqual({ limit: 20, used: 18 });
      for (const id of ids.slice(0, 5)) await finish(api.connection, id);
      // What was read counts for half a second, and the clock stands but for this.
      vi.setSystemTime(Date.now() + 200);
      let admitted = 0;
      let refused = 0;
      for (let i = 0; i < 11; i += 1) {
        // Admitted, and not in the database as long as the test goes on.
        const storing = () => new Promise<never>(() => void (admitted += 1));
        keeper.submitting(owner, 1, storing).catch(() => (refused += 1));
      }
      await vi.waitFor(() => expect(admitted + refused).toBe(11), { timeout: 20_000 });
      expect(admitted).toBe(7);
    } finally {
      vi.useRealTimers();
    }
  });

  test('of unfinished jobs count all jobs of a workflow, and no idempotent repeat', async () => {
    expect((await anna.post('/workflows', workflow(21))).json).toMatchObject({
      error: expect.stringContaining('with these 21 they would be more'),
    });
    const keyed = () => anna.post('/workflows', workflow(20), { 'Idempotency-Key': `k${counter}` });
    const first = await keyed();
    expect(first.status).toBe(201);
    expect((await keyed()).json).toEqual(first.json);
    expect((await anna.post('/jobs', job())).status).toBe(403);
    const { id } = first.json as { id: number };
    expect((await anna.put(`/workflows/${id}/clone`)).status).toBe(403);
    expect((await anna.post('/workflows?dryrun', workflow(20))).status).toBe(200);
  });

  test('of submits a minute are those of all processes', async () => {
    const submit = async () => {
      const answer = await anna.post('/jobs', job());
      if (answer.status === 201) await finish(api.connection, (answer.json as { id: number }).id);
      return answer;
    };
    // Those that ended within the last moments may still be counted.
    for (let i = 0; i < 25; i += 1) await expect.poll(async () => (await submit()).status, { timeout: 5000 }).toBe(201);
    await api.connection.sql`
      insert into submit_counts (owner, minute, submits) values (${owner}, date_trunc('minute', now()), 10)
      on conflict (owner, minute) do update set submits = submit_counts.submits + 10`;
    await expect.poll(async () => (await submit()).status, { timeout: 5000 }).toBe(429);
    const refused = await submit();
    expect(refused.json.error).toMatch(/^You have submitted \d+ times in the last minute, and may 30 times/);
    expect(refused.headers.get('retry-after')).toBe('10');
  });

  test('of one upload are enforced on the signed PUT, before the bytes are all there', async () => {
    const announce = async (name: string) => (await anna.post('/data/upload', { filename: name })).json.url as string;
    const put = async (url: string, bytes: number, init: object = {}) =>
      api.app.request(url, { method: 'PUT', body: Buffer.alloc(bytes), ...init });
    expect((await put(await announce('fits'), 500)).status).toBe(200);
    const refused = await put(await announce('large'), 501);
    expect(refused.status).toBe(413);
    expect(await refused.json()).toEqual({ error: 'the body has 501 bytes or more, and may have 500' });
    // Of unknown length: cut where it becomes too much.
    let given = 0;
    async function* pieces() {
      for (;;) {
        given += 100;
        yield Buffer.alloc(100);
      }
    }
    const body = ReadableStream.from(pieces());
    expect((await put(await announce('endless'), 0, { body, duplex: 'half' })).status).toBe(413);
    expect(given).toBeLessThan(200_000);
    // More than was signed for can't be asked for.
    const url = new URL(await announce('forged'));
    url.searchParams.set('most', '100000');
    expect((await put(url.href, 501)).status).toBe(403);
    url.searchParams.delete('most');
    expect((await put(url.href, 10)).status).toBe(403);
    const names = ((await anna.get('/data')).json as { name: string }[]).map(({ name }) => name);
    expect(names).toEqual(['fits']);
  });

  test('of stored bytes count uploads, outputs and snapshots, each object once, and what is deleted no more', async () => {
    const announce = (name: string) => anna.post('/data/upload', { filename: name });
    const upload = async (name: string, bytes: number) => {
      const { url } = (await announce(name)).json as { url: string };
      return api.app.request(url, { method: 'PUT', body: Buffer.alloc(bytes) });
    };
    await upload('a', 400);
    await upload('a', 300);
    const id = await createJob(anna, { outputFiles: ['x'] });
    await api.connection.sql`update jobs set status = 'running', attempt = 1 where id = ${id}`;
    const output = { kind: 'file' as const, name: 'x', key: `scratch/${owner}/x`, size: 800 };
    await publishOutputs(api.connection.db, { jobId: id, attempt: 1 }, [output, output]);
    const used = async () => ((await anna.get('/quotas')).json as { storedBytes: { used: number } }).storedBytes.used;
    await expect.poll(used, { timeout: 3000 }).toBe(1100);
    const error = expect.stringMatching(/^Your uploads, outputs and snapshots have 1100 bytes, and may have 1000/);
    expect(await announce('b')).toMatchObject({ status: 403, json: { error } });
    expect(await anna.post('/jobs', job())).toMatchObject({ status: 403, json: { error } });
    await anna.delete('/data/a');
    await expect.poll(async () => (await announce('b')).status, { timeout: 3000 }).toBe(201);
  });

  test('of a store whose PUTs are not seen are looked at: what is too large is deleted and refused, the rest counted', async () => {
    const { db } = api.connection;
    const keys = ['small', 'large'].map((name) => `uploads/users/${owner}/${name}`);
    for (const key of keys) await announcePut(db, { key, owner, kind: 'upload' });
    await api.store.folder.write(keys[0]!, [Buffer.alloc(500)]);
    await api.store.folder.write(keys[1]!, [Buffer.alloc(501)]);
    expect((await anna.post('/jobs', job({ artifacts: [{ url: 'large' }] }))).json).toMatchObject({
      error: 'Artifact large has 501 bytes, and an upload may have 500',
    });
    const mostBytes = { upload: 500, output: 500, snapshot: 500 };
    expect(await settlePuts({ db, store: api.store }, mostBytes)).toMatchObject({ deleted: [keys[1]] });
    expect(await api.store.head(keys[1]!)).toBeUndefined();
    const [row] = await api.connection.sql`select sum(size)::int as size from stored_objects where owner = ${owner}`;
    expect(row).toEqual({ size: 500 });
    // Looked at again later, until nothing can come any more.
    await api.connection.sql`update pending_puts set looked_at = null, announced_at = now() - interval '5 hours'`;
    await settlePuts({ db, store: api.store }, mostBytes);
    expect([...(await api.connection.sql`select * from pending_puts`)]).toEqual([]);
  });

  test('cost a submit no statement of its own: what an owner has is read twice a second', async () => {
    let statements = 0;
    const counted = new Proxy(api.connection.db.$client, {
      apply(...call) {
        statements += 1;
        return Reflect.apply(...call) as unknown;
      },
    });
    const limits = {
      unfinishedJobs: 100,
      submitsPerMinute: 1000,
      storedGb: 1,
      uploadGb: 1,
      jobOutputGb: 1,
      imageGb: 1,
    };
    const keeper = quotaKeeper({ $client: counted } as typeof api.connection.db, limits);
    const began = Date.now();
    for (let i = 0; i < 50; i += 1) await keeper.submitting(owner, 1, () => Promise.resolve());
    // A look at what there is, and a note of what was submitted.
    const rounds = Math.ceil((Date.now() - began) / 300) + 1;
    expect(statements).toBeGreaterThan(0);
    expect(statements).toBeLessThanOrEqual(2 * rounds);
  });
});
