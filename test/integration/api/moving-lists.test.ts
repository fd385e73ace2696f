import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { issueToken } from '../../../api/auth/tokens.ts';
import { finish, signingKey, startApi, type TestApi } from './api.ts';

let api: TestApi;
let owner = '';
let counter = 0;

beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.close());
beforeEach(() => {
  counter += 1;
  owner = `anna${counter}`;
});

interface Entry {
  id: number;
  status: string;
}

/** Reads the beginning of a list, lets something happen, and reads on. */
async function readWhile(path: string, happens: (begun: number[]) => Promise<unknown>): Promise<Entry[]> {
  const token = await issueToken(signingKey, { username: owner, groups: [], expiresSeconds: 60 });
  const answer = await api.app.request(`/v1${path}`, { headers: { Authorization: `Bearer ${token}` } });
  expect(answer.status).toBe(200);
  let text = '';
  for await (const piece of answer.body as unknown as AsyncIterable<Uint8Array>) {
    const isFirst = text === '';
    text += Buffer.from(piece).toString();
    if (isFirst) await happens([...text.matchAll(/"id":(\d+)/g)].map(([, id]) => Number(id)));
  }
  return JSON.parse(text) as Entry[];
}

/** As many as that, with ids that follow each other; ended or not. */
async function store(count: number, isEnded: boolean, workflowId: number | null = null): Promise<number[]> {
  const rows = await api.connection.sql<{ id: number }[]>`
    insert into jobs (id, owner, name, status, in_queue, submitted, description, temporal_id, workflow_id, step, instance)
    select id, ${owner}, 'a name that makes it longer', ${isEnded ? 'completed' : 'pending'}, ${!isEnded},
      '{"tasks":[{"image":"busybox","cmd":"date"}]}', '{}', 'job-' || id, ${workflowId}::int, 0, 0
    from (select nextval('ids')::int as id from generate_series(1, ${count})) as fresh
    returning id`;
  return rows.map(({ id }) => id);
}

const newestFirst = (ids: number[]) => ids.toSorted((a, b) => b - a);
const idsOf = (entries: Entry[]) => entries.map(({ id }) => id);

/** History enough that the first piece of an answer is not all of it. */
const long = 4000;

const lists: [string, (workflowId: number, ids: number[]) => string][] = [
  ['all', () => '/jobs?num=1&all=true'],
  ['all jobs of a workflow', (workflowId) => `/jobs?num=1&all=true&id=${workflowId}&workflow=true`],
  ['ids', (_, ids) => `/jobs?id=${ids.join(',')}`],
  ['all in detail', () => '/jobs?all=true&detail=true'],
];

describe.each(lists)('a list of %s', (_what, pathOf) => {
  test('has every job once, though some end while it is read', async () => {
    const workflowId = 1_000_000_000 + counter;
    const early = await store(5, false, workflowId);
    const history = await store(long, true, workflowId);
    const late = await store(5, false, workflowId);
    const path = pathOf(workflowId, [...early, ...history, ...late]);
    const entries = await readWhile(path, async (begun) => {
      expect(begun.length).toBeLessThan(long);
      for (const id of [early[1]!, late[1]!, late[4]!]) await finish(api.connection, id);
    });
    expect(idsOf(entries)).toEqual([...newestFirst(history), ...early, ...late]);
  });

  test('has every job once, also when more wait than are read at once', async () => {
    const workflowId = 1_000_000_000 + counter;
    const early = await store(700, false, workflowId);
    const history = await store(long, true, workflowId);
    const late = await store(700, false, workflowId);
    const ended = [...early, ...late].filter((id) => id % 100 === 7);
    const removed = late[690]!;
    const entries = await readWhile(pathOf(workflowId, [...early, ...history, ...late]), async () => {
      for (const id of ended) await finish(api.connection, id);
      await api.connection.sql`delete from jobs where id = ${removed}`;
    });
    const unfinished = [...early, ...late].filter((id) => id !== removed);
    expect(idsOf(entries)).toEqual([...newestFirst(history), ...unfinished]);
    // Those that were read late are told as they are by then.
    expect(entries.find(({ id }) => id === ended.at(-1))).toMatchObject({ status: 'completed' });
  });
});

test('a list of all workflows has every one once, though some end while it is read', async () => {
  const store = async (count: number, status: string) => {
    const rows = await api.connection.sql<{ id: number }[]>`
      insert into workflows (id, owner, name, status, in_queue, submitted, description, temporal_id, first_job_id, total)
      select id, ${owner}, 'a name that makes it longer', ${status}, ${status === 'running'}, '{"jobs":[]}', '{}', 'workflow-' || id, id + 1, 0
      from (select nextval('ids')::int as id from generate_series(1, ${count})) as fresh
      returning id`;
    return rows.map(({ id }) => id);
  };
  const early = await store(3, 'running');
  const history = await store(long, 'completed');
  const late = await store(600, 'running');
  for (const path of ['/workflows?all=true', '/workflows?all=true&detail=true']) {
    const left = await api.connection.sql<{ id: number }[]>`
      select id from workflows where owner = ${owner} and status = 'running' order by id`;
    const running = left.map(({ id }) => id);
    const entries = await readWhile(path, async (begun) => {
      expect(begun.length).toBeLessThan(long);
      const ended = [running[1]!, running[4]!, running.at(-1)!];
      await api.connection.sql`update workflows set status = 'completed', in_queue = false where id = any(${ended})`;
    });
    const before = [...early, ...history, ...late].filter((id) => !running.includes(id));
    expect(idsOf(entries)).toEqual([...newestFirst(before), ...running]);
  }
});
