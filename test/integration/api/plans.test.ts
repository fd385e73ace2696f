import { afterAll, beforeAll, expect, test } from 'vitest';
import { connect, type Connection } from '../../../db/connection.ts';
import { listDetailedJobs, listJobs, unfinishedJobs, type JobFilter } from '../../../db/job-listing.ts';
import type { ListPage } from '../../../db/list-pages.ts';
import { migrateDatabase } from '../../../db/migrate.ts';
import { startPostgres, type TestPostgres } from './postgres.ts';

let postgres: TestPostgres;
let connection: Connection;

/** One owner with most of the history, and a thousand with a little of it. */
beforeAll(async () => {
  postgres = await startPostgres();
  await migrateDatabase(postgres.url);
  // A single connection, because it is this one's statistics that are looked at.
  connection = connect(postgres.url, { poolSize: 1 });
  await connection.sql`
    insert into jobs (owner, name, labels, status, in_queue, submitted, description, temporal_id)
    select case when n % 4 = 0 then 'small' || n % 1000 else 'big' end, 'name' || n % 5000,
      jsonb_build_object('app', 'a' || n % 300), case when n % 100 = 0 then 'pending' else 'completed' end, n % 50 = 0,
      '{"tasks":[],"outputFiles":["a"]}', '{}', 'wf-' || n
    from generate_series(1, 100000) as n`;
  await connection.sql`analyze jobs`;
});
afterAll(async () => {
  await connection.close();
  await postgres.destroy();
});

async function sequentialScans(): Promise<number> {
  await connection.sql`select pg_stat_force_next_flush()`;
  const [row] = await connection.sql`select seq_scan::int as scans from pg_stat_user_tables where relname = 'jobs'`;
  return row?.['scans'] as number;
}

const filters: [string, Omit<JobFilter, 'owner'>][] = [
  ['the queue', { scope: 'queue' }],
  ['the history', { scope: 'history' }],
  ['running ones', { scope: 'unfinished', status: 'running' }],
  ['a name in the queue', { scope: 'queue', name: 'name7' }],
  ['a name in the history', { scope: 'history', name: 'name7' }],
  ['a label', { scope: 'history', labels: [{ name: 'app', value: 'a7' }] }],
  ['labels that nothing has', { scope: 'history', labels: [{ name: 'app', value: 'none' }] }],
  ['ids', { scope: 'history', ids: [1, 500, 99_999] }],
  ['one id', { scope: 'any', ids: [50_000] }],
];
const pages: ListPage[] = [
  { direction: 'newest', limit: 1 },
  { direction: 'newest', limit: 500, after: 90_000 },
  { direction: 'oldest', limit: 500 },
];

test.each(filters)('looking for %s among 100,000 jobs never reads them all', async (_what, filter) => {
  const before = await sequentialScans();
  // Often enough for the plan that is made once for all parameters.
  for (let round = 0; round < 7; round += 1) {
    for (const owner of ['big', 'small4', 'nobody']) {
      for (const page of pages) {
        await listJobs(connection.db, { ...filter, owner }, page);
        await listDetailedJobs(connection.db, { ...filter, owner }, { ...page, limit: Math.min(page.limit, 100) });
      }
      await unfinishedJobs(connection.db, { ...filter, owner }, 90_000);
    }
  }
  expect(await sequentialScans()).toBe(before);
});

test('and reading them all would have been seen', async () => {
  const before = await sequentialScans();
  await connection.sql`select count(*) from jobs where email = 'x'`;
  expect(await sequentialScans()).toBeGreaterThan(before);
});
