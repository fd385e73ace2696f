/** Who is barred, and the end of what they have here. */
import type { Database } from './connection.ts';
import { requestDeletion } from './job-requests.ts';
import { markDeleted } from './queue-requests.ts';

export interface Bar {
  kind: 'owner' | 'group';
  name: string;
  /** Told to who is barred. */
  reason: string | null;
  barredBy: string;
  /** ISO 8601, in UTC. */
  barredAt: string;
}

export async function listBars(db: Database): Promise<Bar[]> {
  return db.$client<Bar[]>`
    select kind, name, reason, barred_by as "barredBy",
      to_char(barred_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as "barredAt"
    from bars order by kind, name`;
}

/** The last reason counts. */
export async function addBar(db: Database, bar: Omit<Bar, 'barredAt'>): Promise<void> {
  await db.$client`
    insert into bars (kind, name, reason, barred_by) values (${bar.kind}, ${bar.name}, ${bar.reason}, ${bar.barredBy})
    on conflict (kind, name) do update set reason = excluded.reason, barred_by = excluded.barred_by`;
}

/** False when there was none. */
export async function removeBar(db: Database, { kind, name }: Pick<Bar, 'kind' | 'name'>): Promise<boolean> {
  const rows = await db.$client`delete from bars where kind = ${kind} and name = ${name} returning 1`;
  return rows.length > 0;
}

const batchSize = 1000;

/**
 * Deletes all that the barred have under way, as if they had done it themselves: what waits leaves the queue, what runs is
 * killed. Repeats are harmless, and find what was submitted in the moment of the bar.
 * @returns how many jobs and workflows
 */
export async function endBarred(db: Database): Promise<number> {
  const sql = db.$client;
  const bars = await listBars(db);
  let ended = 0;
  for (const { kind, name } of bars) {
    const isTheirs = kind === 'owner' ? sql`owner = ${name}` : sql`groups @> array[${name}]::text[]`;
    for (;;) {
      const found = await sql<{ id: number; owner: string; isJob: boolean }[]>`
        (
          select id, owner, false as "isJob" from workflows
          where in_queue and status in ('pending', 'running') and delete_requested_at is null and ${isTheirs} limit ${batchSize}
        ) union all (
          select id, owner, true from jobs where in_queue and status in ('pending', 'running') and workflow_id is null
            and delete_requested_at is null and ${isTheirs} limit ${batchSize}
        )`;
      for (const owner of new Set(found.map((each) => each.owner))) {
        const of = (isJob: boolean) =>
          found.filter((each) => each.owner === owner && each.isJob === isJob).map(({ id }) => id);
        ended += await markDeleted(db, 'workflow', owner, of(false));
        ended += await requestDeletion(db, owner, of(true));
      }
      if (found.length < batchSize) break;
    }
  }
  return ended;
}
