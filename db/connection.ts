/**
 * The connection pool. Queries are written with drizzle; where a statement is hot or says more than the builder can,
 * `db.$client` is the same pool as a tagged template, whose statements are prepared. It returns moments as text and
 * takes JSON as text, because drizzle does the converting.
 */
import { drizzle, type PostgresJsDatabase } from 'drizzle-orm/postgres-js';
import postgres from 'postgres';
import { exactJson, parseExactJson } from '../domain/exact-json.ts';
import * as schema from './schema.ts';

export type Sql = postgres.Sql;
export type SqlTransaction = postgres.TransactionSql;
export type Database = PostgresJsDatabase<typeof schema> & { $client: Sql };
export type Transaction = Parameters<Parameters<Database['transaction']>[0]>[0];

export interface Connection {
  db: Database;
  sql: Sql;
  /** Lets running queries end, then closes. */
  close(): Promise<void>;
}

/** Columns of type `json` are documents of users, kept as they were sent; what is ours is `jsonb`. */
const document = { to: 114, from: [114], serialize: exactJson, parse: parseExactJson };

/**
 * Nothing is connected until the first query: a process can start before its database does.
 * @param options.statementTimeoutMs a statement that takes longer is cancelled; absent: it may take its time
 */
export function connect(url: string, options: { poolSize: number; statementTimeoutMs?: number }): Connection {
  const sql = postgres(url, {
    max: options.poolSize,
    connect_timeout: 5,
    // After an outage the pool comes back within a second, instead of the driver's doubling delays.
    backoff: (attempt) => Math.min(1, 0.1 * attempt),
    onnotice: () => {},
    types: { document },
    connection: {
      application_name: 'prominence',
      ...(options.statementTimeoutMs === undefined ? {} : { statement_timeout: options.statementTimeoutMs }),
    },
  });
  return { db: drizzle(sql, { schema }), sql, close: () => sql.end({ timeout: 5 }) };
}

/** Names of the driver and of the operating system for a connection that could not be made or was lost. */
const connectionCodes = new Set([
  'CONNECTION_CLOSED',
  'CONNECTION_ENDED',
  'CONNECTION_DESTROYED',
  'CONNECT_TIMEOUT',
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ENOENT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ETIMEDOUT',
]);

/**
 * PostgreSQL's own: connection exceptions, shutting down or starting up, out of connections, memory or disk, a standby,
 * a deadlock or a cancelled query, no tables yet.
 */
const unavailableStates = /^(08...|53...|57P0[1-5]|57014|25006|40001|40P01|42P01)$/;

/** The database can't be used at the moment; the same query may succeed later. */
export function isUnavailable(error: unknown): boolean {
  const code = codeOf(error);
  return code !== undefined && (connectionCodes.has(code) || unavailableStates.test(code));
}

/** A value PostgreSQL can't hold: a NUL character in text, a number out of range, more than fits into a value or an index. */
export function isUnstorable(error: unknown): boolean {
  return /^(22|54)/.test(codeOf(error) ?? '');
}

/** drizzle wraps the driver's error in one that tells the query. */
function codeOf(error: unknown): string | undefined {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if ('code' in cause && typeof cause.code === 'string') return cause.code;
  }
  return undefined;
}
