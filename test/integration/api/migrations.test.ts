/** What an earlier version stored is there after its tables were changed. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { migrate } from 'drizzle-orm/postgres-js/migrator';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connect, type Connection } from '../../../db/connection.ts';
import { migrateDatabase } from '../../../db/migrate.ts';
import { thisMachine } from '../../../scripts/machine.ts';
import { startPostgres, type TestPostgres } from './postgres.ts';

let postgres: TestPostgres;
let connection: Connection;
let folder: string;
beforeAll(async () => {
  postgres = await startPostgres();
  connection = connect(postgres.url, { poolSize: 2 });
  folder = mkdtempSync(join(tmpdir(), 'prominence-migrations-'));
  cpSync(join(thisMachine().repository, 'db/migrations'), folder, { recursive: true });
});
afterAll(async () => {
  await connection?.close();
  await postgres?.destroy();
  rmSync(folder, { recursive: true, force: true });
});

/** As that version's own first start would. */
async function migrateTo(tag: string): Promise<void> {
  const journal = join(folder, 'meta/_journal.json');
  const { entries, ...rest } = JSON.parse(readFileSync(journal, 'utf8')) as { entries: { tag: string }[] };
  const upTo = entries.findIndex((entry) => entry.tag === tag) + 1;
  writeFileSync(journal, JSON.stringify({ ...rest, entries: entries.slice(0, upTo) }));
  await migrate(connection.db, { migrationsFolder: folder });
}

test('a workflow whose steps were called nodes keeps them, its jobs and what a rerun selects', async () => {
  const { sql } = connection;
  await migrateTo('0001_limits');
  await sql`
    insert into workflows (id, owner, submitted, description, temporal_id, first_job_id, total, rerun_of, rerun_selection)
    values (1, 'anna', '{}', '{}', 'workflow-1', 2, 1, 7, '{"nodes": [1], "status": ["failed"]}'),
      (9, 'anna', '{}', '{}', 'workflow-9', 10, 0, null, null)`;
  await sql`
    insert into workflow_nodes (workflow_id, node, name, first_job_id, count, is_factory, submitted, description)
    values (1, 1, 'merge', 2, 1, false, '{}', '{}')`;
  await sql`
    insert into jobs (id, owner, name, temporal_id, workflow_id, node, instance) values (2, 'anna', 'merge', 'job-2', 1, 1, 0)`;
  await migrateDatabase(postgres.url);
  expect([...(await sql`select id, rerun_selection as selection from workflows order by id`)]).toEqual([
    { id: 1, selection: { steps: [1], status: ['failed'] } },
    { id: 9, selection: null },
  ]);
  expect([
    ...(await sql`
      select jobs.id, steps.name from jobs
      join workflow_steps steps on steps.workflow_id = jobs.workflow_id and steps.step = jobs.step`),
  ]).toEqual([{ id: 2, name: 'merge' }]);
});
