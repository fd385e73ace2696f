/** The embedded PostgreSQL: makes its data directory once and tells how it is run. Durable: fsync stays on. */
import { randomBytes } from 'node:crypto';
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import postgres from 'postgres';
import { runOrThrow } from '../command.ts';
import { databaseAccount, findAccount, type Account } from './account.ts';
import { writeWhole, type Home } from './home.ts';
import type { ChildSpec } from './supervised-process.ts';

const user = 'prominence';
const database = 'prominence';

export interface PostgresServer {
  url: string;
  child: ChildSpec;
  /** Makes the project's database; to be called once the child is ready. Idempotent. */
  ensureDatabase(): Promise<void>;
}

/** @param options.binaries the folder with bin/, lib/ and share/ */
export async function postgresServer(options: { home: Home; binaries: string; port: number }): Promise<PostgresServer> {
  const { home, binaries, port } = options;
  const account = accountToRunAs();
  const folder = home.reachableFolder('postgres');
  const password = await initialise({ home, binaries, folder, account });
  const url = (name: string): string => `postgres://${user}:${password}@127.0.0.1:${port}/${name}`;
  const settings = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: '',
    max_connections: '200',
    fsync: 'on',
    log_line_prefix: '%m [%p] ',
  };
  return {
    url: url(database),
    child: {
      name: 'postgres',
      command: join(binaries, 'bin', 'postgres'),
      args: [
        '-D',
        join(folder, 'data'),
        ...Object.entries(settings).flatMap(([key, value]) => ['-c', `${key}=${value}`]),
      ],
      env: { PATH: process.env['PATH'], LC_ALL: 'C', TZ: 'UTC' },
      cwd: folder,
      ...(account ? { account } : {}),
      logFile: home.log('postgres'),
      pidFile: home.pidFile('postgres'),
      // "Fast": end the sessions, write everything, leave. SIGTERM would wait for the sessions to end by themselves.
      stopSignal: 'SIGINT',
      stopGraceSeconds: 20,
      isReady: () => withConnection(url('postgres'), async (sql) => (await sql`select 1`).length === 1),
      readyWithinSeconds: 60,
    },
    ensureDatabase: () =>
      withConnection(url('postgres'), async (sql) => {
        const existing = await sql`select 1 from pg_database where datname = ${database}`;
        if (existing.length === 0) await sql.unsafe(`create database ${database}`);
      }),
  };
}

/** PostgreSQL refuses to run as root. */
function accountToRunAs(): Account | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const account = findAccount(databaseAccount);
  if (!account) throw new Error(`the account ${databaseAccount} is missing: run npm run setup`);
  return account;
}

/** @returns the password; an interrupted initialisation leaves nothing that counts as done */
async function initialise(options: {
  home: Home;
  binaries: string;
  folder: string;
  account: Account | undefined;
}): Promise<string> {
  const { home, binaries, folder, account } = options;
  const data = join(folder, 'data');
  if (existsSync(data)) return readFileSync(home.postgresPasswordFile, 'utf8').trim();

  const password = randomBytes(24).toString('base64url');
  const fresh = join(folder, 'data.new');
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync(fresh, { mode: 0o700 });
  const temporary = mkdtempSync(join(tmpdir(), 'prominence-initdb-'));
  const passwordFile = join(temporary, 'password');
  try {
    writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 });
    if (account) for (const path of [fresh, temporary, passwordFile]) chownSync(path, account.uid, account.gid);
    const locale = ['--encoding=UTF8', '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'];
    const access = [`--username=${user}`, `--pwfile=${passwordFile}`, '--auth=scram-sha-256'];
    await runOrThrow(join(binaries, 'bin', 'initdb'), ['-D', fresh, ...locale, ...access], {
      env: { PATH: process.env['PATH'], LC_ALL: 'C' },
      cwd: folder,
      ...account,
    });
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
  writeWhole(home.postgresPasswordFile, `${password}\n`);
  renameSync(fresh, data);
  return password;
}

async function withConnection<T>(url: string, use: (sql: postgres.Sql) => Promise<T>): Promise<T> {
  const sql = postgres(url, { max: 1, connect_timeout: 5, onnotice: () => undefined });
  try {
    return await use(sql);
  } finally {
    await sql.end({ timeout: 5 });
  }
}
