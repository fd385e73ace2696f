/** Which jobs of a workflow a selection means, as a condition of queries. */
import { reasons } from '../domain/reasons.ts';
import type { StepSelection, Range } from '../domain/selection.ts';
import type { Sql, SqlTransaction } from './connection.ts';
import type { Fragment } from './list-pages.ts';

/** The status of a job as its workflow sees it (`SelectedStatus`), of a row of `jobs` that the query calls `alias`. */
export const seenByWorkflow = (sql: Sql | SqlTransaction, alias: string): Fragment => {
  const job = sql(alias);
  return sql`case
    when ${job}.status not in ('completed', 'failed') then ${job}.status
    when ${job}.status_reason = ${reasons.dependencyFailed} then 'skipped'
    when ${job}.succeeded then 'completed' else 'failed' end`;
};

/** Of a row of `jobs` that the query calls `alias`. */
export function isSelected(
  sql: Sql | SqlTransaction,
  { steps, instances, status }: StepSelection,
  alias: string,
): Fragment {
  const job = sql(alias);
  const isInstance = instances && sql`and ${job}.instance <@ ${multirange(instances)}::int4multirange`;
  const hasStatus = status && sql`and ${seenByWorkflow(sql, alias)} = any(${status}::text[])`;
  return sql`(${job}.step = any(${steps}::int[]) ${isInstance ?? sql``} ${hasStatus ?? sql``})`;
}

/** In which PostgreSQL finds a number without going through it. */
const multirange = (ranges: Range[]): string => `{${ranges.map(([first, last]) => `[${first},${last}]`).join(',')}}`;

/** What a selection takes of a step, as it is now. */
export interface SelectedStep {
  step: number;
  name: string;
  parents: number[];
  count: number;
  /** How many of its jobs have succeeded. */
  done: number;
  selected: number;
  /** Of the selected ones: how many have not ended, and how many have succeeded. */
  unfinished: number;
  succeeded: number;
}

/** Every step of the workflow, in the order of the description. */
export async function countSelected(sql: Sql, workflowId: number, selection: StepSelection): Promise<SelectedStep[]> {
  return sql<SelectedStep[]>`
    with chosen as (
      select step, status, succeeded from jobs where workflow_id = ${workflowId} and ${isSelected(sql, selection, 'jobs')}
    )
    select n.step, n.name, n.parents, n.count, n.done,
      count(chosen.step)::int as selected,
      (count(*) filter (where chosen.status in ('pending', 'running')))::int as unfinished,
      (count(*) filter (where chosen.succeeded))::int as succeeded
    from workflow_steps n left join chosen on chosen.step = n.step
    where n.workflow_id = ${workflowId} group by n.workflow_id, n.step order by n.step`;
}
