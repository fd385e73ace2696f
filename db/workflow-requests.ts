/** What a user asks of workflows that exist already, beside what all in the queue have in common: to end some of the jobs. */
import { resolveSelection, type Selection } from '../domain/selection.ts';
import type { Database } from './connection.ts';
import { requestDeletion } from './job-requests.ts';
import { isSelected } from './workflow-selection.ts';

export type CancelAnswer =
  | { kind: 'accepted'; count: number }
  /** Its jobs are still being made. */
  | { kind: 'unexpanded' }
  | { kind: 'unknownJob'; name: string };

/** Delete the selected jobs of an own workflow that have not ended. What depends on them will not run. */
export async function cancelSelected(
  db: Database,
  owner: string,
  workflowId: number,
  selection: Selection,
): Promise<CancelAnswer> {
  const sql = db.$client;
  const [workflow] = await sql<{ isExpanded: boolean }[]>`
    select is_expanded as "isExpanded" from workflows where id = ${workflowId}`;
  if (!workflow?.isExpanded) return { kind: 'unexpanded' };
  const steps = await sql<{ name: string; parents: number[] }[]>`
    select name, parents from workflow_steps where workflow_id = ${workflowId} order by step`;
  const resolved = resolveSelection(selection, steps);
  if (resolved.kind !== 'resolved') return resolved;
  const rows = await sql<{ id: number }[]>`
    select id from jobs where workflow_id = ${workflowId} and status in ('pending', 'running')
      and delete_requested_at is null and ${isSelected(sql, resolved.selection, 'jobs')}`;
  const ids = rows.map(({ id }) => id);
  return { kind: 'accepted', count: await requestDeletion(db, owner, ids) };
}
