/**
 * Which rows of `jobs` or `workflows` a page of a list has. Pages are cut by id, so the hundred-thousandth costs what
 * the first does, and each scope is spelled the way its partial index is: both tables have the same columns and indexes.
 * A page is also cut where its documents become too many bytes to be held at once.
 */
import type postgres from 'postgres';
import type { IdRanges } from '../domain/id-ranges.ts';
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

export interface Page<Row> {
  /** Maybe fewer than the limit, or none, also when more follow. */
  rows: Row[];
  /** The id after which the next page begins; undefined: nothing follows. */
  next: number | undefined;
}

export type Fragment = postgres.PendingQuery<postgres.Row[]>;

/** A condition. */
export function matching(sql: Sql, { owner, scope, status, ids, name, labels = [] }: ListFilter): Fragment {
  return sql`
    owner = ${owner} and ${scopes[scope](sql)}
    ${status === undefined ? sql`` : sql`and status = ${status}`}
    ${ids === undefined ? sql`` : sql`and id = any(${ids}::int[])`}
    ${name === undefined ? sql`` : sql`and name = ${name}`}
    ${labelled(sql, labels)}`;
}

/** What follows the condition of a page. */
export function cut(sql: Sql, page: ListPage): Fragment {
  const { after } = page;
  const isNewest = page.direction === 'newest';
  return sql`
    ${after === undefined ? sql`` : isNewest ? sql`and id < ${after}` : sql`and id > ${after}`}
    ${ordered(sql, page)} limit ${page.limit}`;
}

export const ordered = (sql: Sql, { direction }: ListPage): Fragment =>
  direction === 'newest' ? sql`order by id desc` : sql`order by id asc`;

/**
 * Bytes of a document as it is stored, which is known without reading it. A compressed one weighs eight times that: most
 * are less than that when they are read, and none is more than ninety times.
 */
export const stored = (sql: Sql, column: string): Fragment => sql`
  coalesce(pg_column_size(${sql(column)}) * case when pg_column_compression(${sql(column)}) is null then 1 else 8 end, 0)`;

/** What the light rows of a page may weigh together, and what its heavy ones may, but for the first of them. */
const heaviestPage = 4_000_000;

/** A row that weighs more is a heavy one: its documents do not come with it. */
export const lightWeight = ({ limit }: ListPage): number => Math.floor(heaviestPage / limit);

/** A column of documents of a table that tells what each row weighs. */
export const light = (sql: Sql, column: string, page: ListPage): Fragment => sql`
  case when weight <= ${lightWeight(page)} then ${sql(column)} end as ${sql(column)}`;

/** The page that begins with the rows found. It ends where its heavy rows become too heavy; theirs are read apart. */
export async function withHeavyDocuments<Row extends { id: number; weight: number }, Documents extends { id: number }>(
  found: Row[],
  page: ListPage,
  readDocuments: (ids: number[]) => Promise<Documents[]>,
  put: (row: Row, documents: Documents) => Row,
): Promise<Page<Row>> {
  const isHeavy = ({ weight }: Row) => weight > lightWeight(page);
  const { rows, next } = endingBefore(firstTooHeavy(found, isHeavy), {
    rows: found,
    next: found.length < page.limit ? undefined : found.at(-1)?.id,
  });
  const heavy = rows.filter(isHeavy).map(({ id }) => id);
  if (heavy.length === 0) return { rows, next };
  const documents = new Map((await readDocuments(heavy)).map((each) => [each.id, each]));
  const complete = rows.flatMap((row) => {
    if (!isHeavy(row)) return [row];
    const own = documents.get(row.id);
    // Without documents the row was removed since it was found.
    return own ? [put(row, own)] : [];
  });
  return { rows: complete, next };
}

/** -1: none. */
function firstTooHeavy<Row extends { weight: number }>(rows: Row[], isHeavy: (row: Row) => boolean): number {
  let together = 0;
  return rows.findIndex((row) => {
    if (!isHeavy(row)) return false;
    const isFirst = together === 0;
    together += row.weight;
    return !isFirst && together > heaviestPage;
  });
}

/** The page that ends before one of its rows, which must not be its first; -1: the whole page. */
export function endingBefore<Row extends { id: number }>(end: number, { rows, next }: Page<Row>): Page<Row> {
  if (end === -1) return { rows, next };
  return { rows: rows.slice(0, end), next: rows[end - 1]!.id };
}

/** The ids of whatever fulfils a condition. Those of a workflow follow each other, so that few ranges hold many. */
export async function idRanges(sql: Sql, table: 'jobs' | 'workflows', condition: Fragment): Promise<IdRanges> {
  const [row] = await sql<[IdRanges]>`
    select coalesce(array_agg(first order by first), '{}') as firsts, coalesce(array_agg(last order by first), '{}') as lasts
    from (
      select min(id) as first, max(id) as last
      from (select id, id - row_number() over (order by id) as gaps from ${sql(table)} where ${condition}) as found
      group by gaps
    ) as ranges`;
  return row;
}

/** A moment as whole seconds since the epoch. */
export const epoch = (sql: Sql, column: string): Fragment => sql`floor(date_part('epoch', ${sql(column)}))`;

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
