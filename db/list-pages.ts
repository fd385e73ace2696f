/**
 * Which rows of `jobs` or `workflows` a page of a list has. Pages are cut by id, so the hundred-thousandth costs what
 * the first does, and each scope is spelled the way its partial index is: both tables have the same columns and indexes.
 */
import type postgres from 'postgres';
import type { Sql } from './connection.ts';

export interface ListFilter {
  owner: string;
  /** queue: unfinished, or kept by leaveInQueue. history: in a terminal state, kept or not. */
  scope: 'any' | 'queue' | 'history' | 'unfinished';
  status?: 'pending' | 'running';
  ids?: number[];
  name?: string;
  /** All must hold. */
  labels?: { name: string; value: string }[];
}

export interface ListPage {
  direction: 'newest' | 'oldest';
  limit: number;
  /** The last id of the page before. */
  after?: number;
}

export type Fragment = postgres.PendingQuery<postgres.Row[]>;

/** What follows `where`. */
export function matching(sql: Sql, filter: ListFilter, page: ListPage): Fragment {
  const { owner, status, ids, name, labels = [] } = filter;
  const isNewest = page.direction === 'newest';
  return sql`
    owner = ${owner} and ${scopes[filter.scope](sql)}
    ${status === undefined ? sql`` : sql`and status = ${status}`}
    ${ids === undefined ? sql`` : sql`and id = any(${ids}::int[])`}
    ${name === undefined ? sql`` : sql`and name = ${name}`}
    ${labelled(sql, labels)}
    ${page.after === undefined ? sql`` : isNewest ? sql`and id < ${page.after}` : sql`and id > ${page.after}`}
    order by id ${isNewest ? sql`desc` : sql`asc`} limit ${page.limit}`;
}

/** A moment as whole seconds since the epoch. */
export const epoch = (sql: Sql, column: string): Fragment => sql`floor(extract(epoch from ${sql(column)}))::float8`;

const labelled = (sql: Sql, labels: { name: string; value: string }[]): Fragment =>
  labels.reduce<Fragment>(
    (all, { name, value }) => sql`${all} and labels @> ${JSON.stringify({ [name]: value })}::jsonb`,
    sql``,
  );

const scopes: Record<ListFilter['scope'], (sql: Sql) => Fragment> = {
  any: (sql) => sql`true`,
  queue: (sql) => sql`in_queue`,
  history: (sql) => sql`status not in ('pending', 'running')`,
  unfinished: (sql) => sql`in_queue and status in ('pending', 'running')`,
};
