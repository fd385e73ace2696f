/** A real PostgreSQL of its own for a test file: started on a free port, stopped and started again at will. */
import { spawn, type ChildProcess } from 'node:child_process';
import { chownSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import postgres from 'postgres';
import { connect, type Connection } from '../../../db/connection.ts';
import { migrateDatabase } from '../../../db/migrate.ts';
import { findPostgres, postgresBinaries } from '../../../scripts/components/postgres-binaries.ts';
import { thisMachine } from '../../../scripts/machine.ts';
import { pickPort } from '../../../scripts/stack/ports.ts';

export interface TestPostgres {
  url: string;
  /** As an operator would: sessions are ended, everything is written. */
  stop(): Promise<void>;
  start(): Promise<void>;
  /** Stops it and removes its data. */
  destroy(): Promise<void>;
}

export async function startPostgres(): Promise<TestPostgres> {
  const programs = await findPrograms();
  const account = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : undefined;
  const folder = mkdtempSync(join(tmpdir(), 'prominence-postgres-'));
  if (account) chownSync(folder, account.uid, account.gid);
  const data = join(folder, 'data');
  const options = { cwd: folder, env: { PATH: process.env['PATH'], LC_ALL: 'C', TZ: 'UTC' }, ...account };
  const locale = ['--encoding=UTF8', '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'];
  const initdb = ['-D', data, '--username=test', '--auth=trust', '--no-sync', ...locale];
  await ended(spawn(join(programs, 'initdb'), initdb, { ...options, stdio: 'ignore' }), 'initdb');

  const port = await pickPort(undefined, new Set());
  const url = `postgres://test@127.0.0.1:${port}/postgres`;
  let server: ChildProcess | undefined;
  const start = async () => {
    const settings = { listen_addresses: '127.0.0.1', port: String(port), unix_socket_directories: '' };
    const args = Object.entries(settings).flatMap(([key, value]) => ['-c', `${key}=${value}`]);
    server = spawn(join(programs, 'postgres'), ['-D', data, ...args], { ...options, stdio: 'ignore' });
    await ready(url);
  };
  const stop = async () => {
    if (!server || server.exitCode !== null) return;
    const end = new Promise((resolve) => server?.once('exit', resolve));
    server.kill('SIGINT');
    await end;
  };
  await start();
  return {
    url,
    start,
    stop,
    async destroy() {
      await stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export interface TestDatabase {
  connection: Connection;
  destroy(): Promise<void>;
}

/** A server of its own with the project's tables. */
export async function startDatabase(): Promise<TestDatabase> {
  const server = await startPostgres();
  await migrateDatabase(server.url);
  const connection = connect(server.url, { poolSize: 10 });
  const destroy = async () => {
    await connection.close();
    await server.destroy();
  };
  return { connection, destroy };
}

async function findPrograms(): Promise<string> {
  const machine = thisMachine();
  if (!findPostgres(machine)) await postgresBinaries(machine).ways[0]?.obtain();
  const folder = findPostgres(machine);
  if (!folder) throw new Error('PostgreSQL could not be prepared: run npm run setup');
  return join(folder, 'bin');
}

async function ended(child: ChildProcess, name: string): Promise<void> {
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', resolve);
  });
  if (code !== 0) throw new Error(`${name} ended with ${code}`);
}

async function ready(url: string): Promise<void> {
  const sql = postgres(url, { max: 1, connect_timeout: 2, backoff: false, onnotice: () => {} });
  const deadline = Date.now() + 90_000;
  try {
    for (;;) {
      try {
        await sql`select 1`;
        return;
      } catch (error) {
        if (Date.now() > deadline) throw error;
        await pause(50);
      }
    }
  } finally {
    await sql.end();
  }
}
