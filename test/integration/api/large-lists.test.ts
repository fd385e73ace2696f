import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { issueToken } from '../../../api/auth/tokens.ts';
import { connect, type Connection } from '../../../db/connection.ts';
import { listDetailedJobs, listJobs } from '../../../db/job-listing.ts';
import type { ListFilter, ListPage, Page } from '../../../db/list-pages.ts';
import { listDetailedWorkflows } from '../../../db/workflow-listing.ts';
import { job, signingKey, startApi, type Client, type TestApi } from './api.ts';
import { finishWorkflow, named } from './workflows.ts';

let api: TestApi;
/** A single connection, because it is this one's statistics that are looked at. */
let reader: Connection;

beforeAll(async () => {
  api = await startApi({ maxBodyBytes: 20_000_000 });
  reader = connect(api.postgres.url, { poolSize: 1 });
});
afterAll(async () => {
  await reader.close();
  await api.close();
});

let owner = '';
let anna: Client;
let counter = 0;
beforeEach(async () => {
  counter += 1;
  owner = `anna${counter}`;
  anna = await api.as(owner);
});

/** Does not get smaller by compression. */
const text = (bytes: number) => randomBytes(Math.ceil((bytes * 3) / 4)).toString('base64');

/** No word of a command may be longer, and no value of a parameter (descriptions/launch-size.ts). */
const longestWord = 100_000;
const taskOf = (cmd: string) => ({ image: 'busybox', runtime: 'singularity', cmd });
const tasksOf = (bytes: number) => Array.from({ length: bytes / longestWord }, () => taskOf(text(longestWord)));

async function submit(path: string, document: unknown): Promise<number> {
  const answer = await anna.post(path, document);
  expect(answer).toMatchObject({ status: 201 });
  return answer.json.id as number;
}

/** A workflow of a factory with so many instances, whose template has `inputs` of so many bytes. */
const factory = (number: number, bytes: number) =>
  submit('/workflows', {
    jobs: [named('point', { inputs: [{ filename: 'a', content: text(bytes) }] })],
    factories: [{ name: 'f', type: 'repeat', jobs: ['point'], number }],
  });

async function piecesOf(path: string): Promise<string[]> {
  const token = await issueToken(signingKey, { username: owner, groups: [], expiresSeconds: 60 });
  const answer = await api.app.request(`/v1${path}`, { headers: { Authorization: `Bearer ${token}` } });
  expect(answer.status).toBe(200);
  const pieces: string[] = [];
  for await (const piece of answer.body as unknown as AsyncIterable<Uint8Array>) {
    pieces.push(Buffer.from(piece).toString());
  }
  return pieces;
}

async function allPages<Row>(
  read: (page: ListPage) => Promise<Page<Row>>,
  page: ListPage = { direction: 'oldest', limit: 100 },
): Promise<Row[][]> {
  const pages: Row[][] = [];
  for (let after: number | undefined = page.after; ;) {
    const { rows, next }: Page<Row> = await read({ ...page, ...(after === undefined ? {} : { after }) });
    pages.push(rows);
    if (next === undefined) return pages;
    after = next;
  }
}

/** What is held of documents; one that several rows share counts once. */
function bytesOf(rows: { submitted?: unknown; tasks?: unknown; parameters?: unknown }[]): number {
  const documents = new Set(rows.flatMap(({ submitted, tasks, parameters }) => [submitted ?? tasks, parameters]));
  return [...documents].reduce<number>((sum, each) => sum + JSON.stringify(each ?? null).length, 0);
}

/** How often a document of a table was read that lies beside its rows. */
async function documentReads(table: string): Promise<number> {
  await reader.sql`select pg_stat_force_next_flush()`;
  const [row] = await reader.sql<[{ reads: number }]>`
    select coalesce(idx_scan, 0)::int as reads from pg_stat_all_tables
    where relid = (select reltoastrelid from pg_class where relname = ${table})`;
  return row.reads;
}

describe('a list with a large template', () => {
  test('is written one entry at a time', async () => {
    const id = await factory(130, 1_500_000);
    await finishWorkflow(api.connection, id);
    const pieces = await piecesOf(`/jobs?completed=true&num=-1&id=${id}&workflow=true&detail=true`);
    expect(Math.max(...pieces.map(({ length }) => length))).toBeLessThan(2_000_000);
    const ids = pieces.flatMap((piece) => [...piece.matchAll(/"id":(\d+)/g)].map(([, found]) => Number(found)));
    expect(ids).toEqual(Array.from({ length: 130 }, (_, i) => id + 130 - i));
    const [first] = (await anna.get(`/jobs/${id + 1}`)).json as Record<string, unknown>[];
    expect(JSON.parse(pieces.at(-2)!.slice(1))).toEqual(first);
    expect(first).toMatchObject({ id: id + 1, inputs: [{ filename: 'a' }], resources: { nodes: 1 } });
  });

  test('reads it once for a page, and not at all where it is not shown', async () => {
    const id = await factory(100, 300_000);
    const filter: ListFilter & { workflowId: number } = { owner, scope: 'any', workflowId: id };
    for (const list of [listJobs, listDetailedJobs]) {
      const before = await documentReads('workflow_steps');
      const { rows } = await list(reader.db, filter, { direction: 'oldest', limit: 100 });
      expect(rows).toHaveLength(100);
      expect(rows.every(({ tasks }) => Array.isArray(tasks))).toBe(true);
      expect((await documentReads('workflow_steps')) - before).toBe(1);
    }
    const before = await documentReads('workflow_steps');
    await listDetailedJobs(reader.db, { owner, scope: 'history' }, { direction: 'oldest', limit: 100 });
    expect(await documentReads('workflow_steps')).toBe(before);
  });
});

describe('a page', () => {
  test('ends where its documents are too many bytes, whatever they are a part of', async () => {
    const large = { tasks: tasksOf(700_000) };
    const several = async (number: number, document: unknown) => {
      for (let i = 0; i < number; i += 1) await submit('/jobs', document);
    };
    await several(3, job());
    await several(9, job(large));
    await factory(20, 3_000_000);
    await submit('/workflows', {
      jobs: ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k'].map((name) => named(name, large)),
    });
    await several(2, job(large));
    await submit('/workflows', {
      jobs: [named('point')],
      factories: [
        {
          ...{ name: 'f', type: 'zip', jobs: ['point'] },
          parameters: Array.from({ length: 9 }, (_, i) => ({
            name: `x${i}`,
            values: Array.from({ length: 10 }, () => text(longestWord)),
          })),
        },
      ],
    });
    await several(3, job());

    const { db, sql } = api.connection;
    const stored = await sql<{ id: number; submitted: { tasks: unknown }; parameters: unknown }[]>`
      select jobs.id, coalesce(jobs.submitted, steps.submitted) as submitted, parameters
      from jobs left join workflow_steps as steps on steps.workflow_id = jobs.workflow_id and steps.step = jobs.step
      where owner = ${owner} order by jobs.id`;
    const filter: ListFilter = { owner, scope: 'any' };
    for (const direction of ['newest', 'oldest'] as const) {
      const expected = direction === 'newest' ? stored.toReversed() : [...stored];
      const page = { direction, limit: 100 };
      const plain = await allPages((each) => listJobs(db, filter, each), page);
      const detailed = await allPages((each) => listDetailedJobs(db, filter, each), page);
      for (const rows of [...plain, ...detailed]) expect(bytesOf(rows)).toBeLessThan(9_000_000);
      expect(plain.flat().map(({ id, tasks, parameters }) => ({ id, tasks, parameters }))).toEqual(
        expected.map(({ id, submitted, parameters }) => ({ id, tasks: submitted.tasks, parameters })),
      );
      expect(detailed.flat().map(({ id, submitted, parameters }) => ({ id, submitted, parameters }))).toEqual(expected);
    }
    const pieces = await piecesOf('/jobs?detail=true');
    expect(Math.max(...pieces.map(({ length }) => length))).toBeLessThan(5_000_000);
  });

  test('of workflows does so, too', async () => {
    const ids: number[] = [];
    for (let i = 0; i < 12; i += 1) {
      const tasks = i % 3 === 0 ? [taskOf('date')] : tasksOf(1_500_000);
      ids.push(await submit('/workflows', { jobs: [named('a', { tasks })] }));
    }
    const pages = await allPages((each) => listDetailedWorkflows(api.connection.db, { owner, scope: 'any' }, each));
    expect(pages.flat().map(({ id }) => id)).toEqual(ids);
    expect(pages.flat().every(({ submitted }) => 'jobs' in submitted)).toBe(true);
    for (const rows of pages) expect(bytesOf(rows)).toBeLessThan(5_000_000);
  });

  test('has as many rows as it may where they are not large', async () => {
    const { sql } = api.connection;
    const document = JSON.stringify({ tasks: [{ cmd: text(5_000) }] });
    await sql`
      insert into jobs (owner, submitted, description, temporal_id)
      select ${owner}, ${document}::json, '{}', ${owner} || n from generate_series(1, 500) as n`;
    const { rows } = await listJobs(api.connection.db, { owner, scope: 'queue' }, { direction: 'oldest', limit: 500 });
    expect(rows).toHaveLength(500);
  });
});
