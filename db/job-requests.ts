/** What a user asks of jobs that exist already, beside what all in the queue have in common. */
import { sql } from 'drizzle-orm';
import { reasons } from '../domain/reasons.ts';
import type { Database } from './connection.ts';
import { markDeleted } from './queue-requests.ts';
import { endUnbegun } from './unrun-jobs.ts';

/**
 * Jobs of workflows that nothing runs yet are ended now; others as `markDeleted` says. Repeats are harmless.
 * @returns how many of the ids were jobs of this owner in the queue
 */
export async function requestDeletion(db: Database, owner: string, ids: number[]): Promise<number> {
  return db.transaction(async (tx) => {
    // All of them first, and in order: who ends one of them meanwhile has its row, and then wants its workflow's.
    await tx.execute(sql`
      select from jobs where owner = ${owner} and in_queue
        and id in (select jsonb_array_elements_text(${JSON.stringify(ids)}::jsonb)::int)
      order by id for update`);
    const how = { status: 'deleted', reason: reasons.deletedByUser, detail: null } as const;
    const ended = await endUnbegun(tx, { ids, owner }, how);
    return ended + (await markDeleted(tx, 'job', owner, ids));
  });
}
