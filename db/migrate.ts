/** Brings the tables up to date. Every process may call it at its start: one does the work, the others wait for it. */
import { fileURLToPath } from 'node:url';
import { drizzle } from 'drizzle-orm/postgres-js';
import { migrate } from 'drizzle-orm/postgres-js/migrator';
import postgres from 'postgres';

const migrationsFolder = fileURLToPath(new URL('./migrations', import.meta.url));

/** Any number, as long as every version of the project uses the same. */
const migrationLock = 7_061_973;

/** @throws when the database can't be reached or a migration fails; what it had begun is undone */
export async function migrateDatabase(url: string): Promise<void> {
  // One connection, so that the lock and the migrations share a session.
  const sql = postgres(url, { max: 1, connect_timeout: 10, onnotice: () => {} });
  try {
    await sql`select pg_advisory_lock(${migrationLock})`;
    await migrate(drizzle(sql), { migrationsFolder });
  } finally {
    // The lock ends with its session.
    await sql.end();
  }
}
