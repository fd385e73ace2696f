/** What jobs used, from their own records (docs/wire.md 2.7). A job counts by its day of submit, once a task ran. */
import type { Database, Sql, SqlTransaction } from './connection.ts';
import type { Fragment } from './list-pages.ts';

/** Days as YYYY-MM-DD in UTC; both are part of it. */
export interface Period {
  start: string;
  end: string;
}

/** Times are in hours of one CPU. */
export interface Usage {
  cpuTime: number;
  wallTime: number;
  numberOfJobs: number;
}

/** Of one owner, whatever group a job was for; absent where there was none. */
export async function usageOfOwner(db: Database, owner: string, period: Period): Promise<Map<string, Usage>> {
  const sql = db.$client;
  return byName(
    await sql<Row[]>`
      select owner as name, ${sums(sql)} from (${used(sql, period)}) as used where owner = ${owner} group by owner`,
  );
}

/** Of everybody in what they did as members of any of these groups. */
export async function usageOfMembers(db: Database, groups: string[], period: Period): Promise<Map<string, Usage>> {
  const sql = db.$client;
  return byName(
    await sql<Row[]>`
      select owner as name, ${sums(sql)} from (${used(sql, period)}) as used
      where groups && ${groups}::text[] group by owner order by owner`,
  );
}

/** Of each of these groups, as a whole. A job for two of them counts in both. */
export async function usageOfGroups(db: Database, groups: string[], period: Period): Promise<Map<string, Usage>> {
  const sql = db.$client;
  return byName(
    await sql<Row[]>`
      select member.of as name, ${sums(sql)} from (${used(sql, period)}) as used
      join unnest(${groups}::text[]) as member (of) on member.of = any(groups)
      where groups && ${groups}::text[] group by member.of order by member.of`,
  );
}

type Row = Usage & { name: string };

/** Of jobs that are there, and of those that were removed. */
const used = (sql: Sql, { start, end }: Period): Fragment => sql`
  select owner, groups, 1 as jobs, seconds.cpu, seconds.wall from jobs cross join lateral (${usedSeconds(sql)}) as seconds
  where created_at >= ${start}::date::timestamp at time zone 'UTC'
    and created_at < (${end}::date + 1)::timestamp at time zone 'UTC' and ${wasUsed(sql)}
  union all
  select owner, groups, jobs, cpu_seconds, wall_seconds from past_usage where day >= ${start}::date and day <= ${end}::date`;

/** What a rerun kept was used by the job it was kept from. */
export const wasUsed = (sql: Sql | SqlTransaction): Fragment => sql`
  kept_from is null and jsonb_array_length(execution->'tasks') > 0`;

/** Of a row of `jobs`: a job has as many CPUs on each of its nodes. */
export const usedSeconds = (sql: Sql | SqlTransaction): Fragment => sql`
  select ${taskSeconds(sql, 'cpuTimeUsage')} as cpu, ${taskSeconds(sql, 'wallTimeUsage')} * ${cpus(sql)} as wall`;

const sums = (sql: Sql): Fragment => sql`
  sum(jobs)::int as "numberOfJobs", (sum(cpu) / 3600)::float8 as "cpuTime", (sum(wall) / 3600)::float8 as "wallTime"`;

const taskSeconds = (sql: Sql | SqlTransaction, member: 'cpuTimeUsage' | 'wallTimeUsage'): Fragment => sql`
  (select coalesce(sum((task->>${member})::float8), 0) from jsonb_array_elements(execution->'tasks') as task)`;

/** Those of a job that ran a task are always known: it was provisioned. */
const cpus = (sql: Sql | SqlTransaction): Fragment => sql`
  coalesce((execution->'provisionedResources'->>'cpus')::float8 * coalesce((execution->'provisionedResources'->>'nodes')::float8, 1), 1)`;

const byName = (rows: Row[]): Map<string, Usage> => new Map(rows.map(({ name, ...usage }) => [name, usage]));
