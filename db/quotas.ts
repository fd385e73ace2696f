/** What owners have and use of what is bounded for each of them. */
import type { Database } from './connection.ts';
import type { StoredKind } from '../domain/stored-kind.ts';

export interface Usage {
  /** Jobs that have not ended, those of workflows too. */
  unfinishedJobs: number;
  /** Of what is known to be in the store. */
  storedBytes: number;
  /** In the last minute, of all API processes, as far as they have told. */
  recentSubmits: number;
}

/** @param most more jobs than these are not counted */
export async function readUsage(db: Database, owner: string, most: { unfinishedJobs: number }): Promise<Usage> {
  const [row] = await db.$client<[Usage]>`
    select
      (select count(*) from (
        select from jobs where owner = ${owner} and workflow_id is null and status in ('pending', 'running')
        limit ${most.unfinishedJobs}
      ) as single)::float8
      + (select coalesce(sum(total - done - failed - skipped - left_out), 0) from workflows
        where owner = ${owner} and status in ('pending', 'running'))::float8 as "unfinishedJobs",
      (select coalesce(sum(size), 0) from stored_objects where owner = ${owner})::float8 as "storedBytes",
      -- Of the minute before, the part that is less than a minute ago.
      (select coalesce(sum(submits * case when minute = date_trunc('minute', now()) then 1
          else 1 - extract(second from now()) / 60 end), 0) from submit_counts
        where owner = ${owner} and minute >= date_trunc('minute', now()) - interval '1 minute')::float8 as "recentSubmits"`;
  return row;
}

export async function addSubmits(db: Database, owner: string, submits: number): Promise<void> {
  await db.$client`
    insert into submit_counts (owner, minute, submits) values (${owner}, date_trunc('minute', now()), ${submits})
    on conflict (owner, minute) do update set submits = submit_counts.submits + excluded.submits`;
}

export async function forgetSubmits(db: Database): Promise<void> {
  await db.$client`delete from submit_counts where minute < now() - interval '10 minutes'`;
}

export interface StoredObjectFact {
  key: string;
  owner: string;
  kind: StoredKind;
  size: number;
}

/** What is in the store now under a key: the last one who put it has it. */
export async function recordObject(db: Database, { key, owner, kind, size }: StoredObjectFact): Promise<void> {
  await db.$client`
    insert into stored_objects (object_key, owner, kind, size) values (${key}, ${owner}, ${kind}, ${size})
    on conflict (object_key) do update set owner = excluded.owner, kind = excluded.kind, size = excluded.size`;
}

export async function forgetObjects(db: Database, keys: string[]): Promise<void> {
  if (keys.length > 0) await db.$client`delete from stored_objects where object_key = any(${keys}::text[])`;
}

export interface PendingPut {
  key: string;
  owner: string;
  kind: StoredKind;
  /** Nothing can come by its URL any more. */
  isOver: boolean;
}

/** A URL was given out by which bytes go to the store past us. */
export async function announcePut(db: Database, { key, owner, kind }: Omit<PendingPut, 'isOver'>): Promise<void> {
  await db.$client`
    insert into pending_puts (object_key, owner, kind) values (${key}, ${owner}, ${kind})
    on conflict (object_key) do update set owner = excluded.owner, kind = excluded.kind, announced_at = now(), looked_at = null`;
}

/** Those that were not looked at for the longest time. @param overAfterSeconds of the longest URL, and of a slow upload */
export async function pendingPuts(db: Database, overAfterSeconds: number, limit: number): Promise<PendingPut[]> {
  return db.$client<PendingPut[]>`
    with next as (
      select object_key from pending_puts where coalesce(looked_at, '-infinity') < now() - interval '15 seconds'
      order by looked_at nulls first limit ${limit} for update skip locked
    )
    update pending_puts p set looked_at = now() from next where p.object_key = next.object_key
    returning p.object_key as key, p.owner, p.kind,
      p.announced_at < now() - make_interval(secs => ${overAfterSeconds}) as "isOver"`;
}

export async function settlePut(db: Database, key: string): Promise<void> {
  await db.$client`delete from pending_puts where object_key = ${key}`;
}
