import { afterAll, beforeAll, expect, test } from 'vitest';
import { connect, type Connection } from '../../../db/connection.ts';
import { findSteps } from '../../../db/job-output.ts';
import { listDetailedJobs, listJobs, unfinishedJobs, type JobFilter } from '../../../db/job-listing.ts';
import type { ListFilter, ListPage } from '../../../db/list-pages.ts';
import { migrateDatabase } from '../../../db/migrate.ts';
import { listDetailedWorkflows, listSteps, listWorkflows, unfinishedWorkflows } from '../../../db/workflow-listing.ts';
import { startPostgres, type TestPostgres } from './postgres.ts';

let postgres: TestPostgres;
let connection: Connection;

/**
 * 100,000 jobs: a hundred workflows with two steps of five hundred jobs, most of them of one owner. And 20,000
 * workflows more that have no jobs any more.
 */
beforeAll(async () => {
  postgres = await startPostgres();
  await migrateDatabase(postgres.url);
  // A single connection, because it is this one's statistics that are looked at.
  connection = connect(postgres.url, { poolSize: 1 });
  const { sql } = connection;
  await sql`
    insert into workflows (id, owner, name, labels, status, in_queue, submitted, description, temporal_id, first_job_id, total)
    select n * 2000, case when n % 4 = 0 then 'small' || n % 1000 else 'big' end, 'name' || n % 50,
      jsonb_build_object('app', 'a' || n % 300), case when n % 100 = 0 then 'pending' else 'completed' end, n % 50 = 0,
      '{"jobs":[]}', '{}', 'workflow-' || n, n * 2000 + 1, 1000
    from generate_series(1, 20000) as n`;
  await sql`
    insert into workflow_steps (workflow_id, step, name, first_job_id, count, is_factory, submitted, description)
    select id, step, 'step' || step, id + 1 + step * 500, 500, true, '{"tasks":[{"image":"x"}]}', '{}'
    from workflows, generate_series(0, 1) as step`;
  await sql`
    insert into jobs (id, owner, name, status, in_queue, workflow_id, step, instance, parameters, temporal_id)
    select w.id + 1 + i, w.owner, 'wf/step' || i / 500 || '/' || i % 500,
      case when i % 2 = 0 then 'pending' else 'completed' end, i % 2 = 0, w.id, i / 500, i % 500, '{"x":1}', 'job-' || w.id || '-' || i
    from workflows as w, generate_series(0, 999) as i where w.id <= 200000`;
  await sql`vacuum analyze jobs, workflows, workflow_steps`;
});
afterAll(async () => {
  await connection.close();
  await postgres.destroy();
});

interface Reads {
  /** Of whole tables. */
  scans: number;
  /** Through an index. */
  rows: number;
}

async function reads(): Promise<Reads> {
  await connection.sql`select pg_stat_force_next_flush()`;
  const [row] = await connection.sql<Reads[]>`
    select sum(seq_scan)::int as scans, sum(idx_tup_fetch)::int as rows
    from pg_stat_user_tables where relname in ('jobs', 'workflows', 'workflow_steps')`;
  return row!;
}

/** Rounds, because the plan that is made once for all parameters comes after some. */
async function readsOf(look: () => Promise<unknown>, rounds = 8): Promise<Reads> {
  const before = await reads();
  for (let round = 0; round < rounds; round += 1) await look();
  const after = await reads();
  return { scans: after.scans - before.scans, rows: (after.rows - before.rows) / rounds };
}

const pages: ListPage[] = [
  { direction: 'newest', limit: 1 },
  { direction: 'newest', limit: 100, after: 20_000_000 },
  { direction: 'oldest', limit: 100 },
];

const ofWorkflow: [string, Omit<JobFilter, 'owner' | 'workflowId'>][] = [
  ['unfinished ones', { scope: 'queue' }],
  ['finished ones', { scope: 'history' }],
  ['waiting ones', { scope: 'unfinished', status: 'pending' }],
  ['running ones', { scope: 'unfinished', status: 'running' }],
  ['one by its name', { scope: 'queue', name: 'wf/node1/498' }],
  ['those of a step', { scope: 'history', name: 'step1' }],
];

test.each(ofWorkflow)('%s of a workflow are found among the jobs of this workflow only', async (_what, filter) => {
  for (const workflowId of [2000, 98_000, 198_000, 5]) {
    for (const page of pages) {
      const all = { ...filter, owner: 'big', workflowId };
      const plain = await readsOf(() => listJobs(connection.db, all, page));
      const detailed = await readsOf(() => listDetailedJobs(connection.db, all, page));
      for (const { scans, rows } of [plain, detailed]) {
        expect(scans).toBe(0);
        expect(rows).toBeLessThanOrEqual(1000 + 2 * page.limit + 10);
      }
    }
    const { scans, rows } = await readsOf(() =>
      unfinishedJobs(connection.db, { ...filter, owner: 'big', workflowId }, 0),
    );
    expect(scans).toBe(0);
    expect(rows).toBeLessThanOrEqual(1010);
  }
});

test('pages of all jobs look up templates for their own rows only', async () => {
  for (const scope of ['queue', 'history', 'unfinished'] as const) {
    for (const page of pages) {
      const { scans, rows } = await readsOf(() => listJobs(connection.db, { owner: 'big', scope }, page));
      expect(scans).toBe(0);
      expect(rows).toBeLessThanOrEqual(2 * page.limit + 2);
    }
  }
});

const ofOwner: [string, Omit<ListFilter, 'owner'>][] = [
  ['the queue', { scope: 'queue' }],
  ['the history', { scope: 'history' }],
  ['running ones', { scope: 'unfinished', status: 'running' }],
  ['a name in the history', { scope: 'history', name: 'name7' }],
  ['a label', { scope: 'history', labels: [{ name: 'app', value: 'a7' }] }],
  ['ids', { scope: 'history', ids: [2000, 500_000, 39_998_000] }],
];

test.each(ofOwner)('looking for %s among 20,000 workflows never reads them all', async (_what, filter) => {
  for (const owner of ['big', 'small4', 'nobody']) {
    for (const page of pages) {
      expect((await readsOf(() => listWorkflows(connection.db, { ...filter, owner }, page))).scans).toBe(0);
      expect((await readsOf(() => listDetailedWorkflows(connection.db, { ...filter, owner }, page))).scans).toBe(0);
    }
    expect((await readsOf(() => unfinishedWorkflows(connection.db, { ...filter, owner }, 0))).scans).toBe(0);
  }
});

test('a page of workflows costs what it shows', async () => {
  for (const page of pages) {
    const { rows } = await readsOf(() => listWorkflows(connection.db, { owner: 'big', scope: 'history' }, page));
    expect(rows).toBeLessThanOrEqual(page.limit + 1);
  }
});

test('steps are found by their workflow', async () => {
  for (const look of [() => listSteps(connection.db, 98_000), () => findSteps(connection.db, 98_000, ['step1', 'x'])]) {
    const { scans, rows } = await readsOf(look);
    expect(scans).toBe(0);
    expect(rows).toBeLessThanOrEqual(2);
  }
});
