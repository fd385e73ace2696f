/**
 * The jobs of a workflow: small rows, made in batches in the order of their ids. What a crash left is found by the last
 * id that is there.
 */
import { instanceParameters } from '../domain/instance.ts';
import { reasons } from '../domain/reasons.ts';
import type { StepSelection } from '../domain/selection.ts';
import { jobName, planWorkflow, type PlannedStep } from '../domain/workflow-plan.ts';
import type { WorkflowDescription } from '../domain/workflow-description.ts';
import type { SqlTransaction } from './connection.ts';
import { isSelected } from './workflow-selection.ts';

/** Make up to `limit` more jobs. Returns whether all are there. */
export async function expandNext(sql: SqlTransaction, workflowId: number, limit: number): Promise<boolean> {
  const [workflow] = await sql<Expanding[]>`
    select id, name, description, first_job_id as "firstJobId", total, is_expanded as "isExpanded", rerun_of as "rerunOf",
      rerun_selection as selection,
      coalesce((select max(id) + 1 from jobs where workflow_id = ${workflowId}), first_job_id) as next
    from workflows where id = ${workflowId} for update`;
  if (!workflow || workflow.isExpanded) return true;
  const end = Math.min(workflow.next + limit, workflow.firstJobId + workflow.total);
  if (workflow.next < end) await insertJobs(sql, workflow, workflow.next, end);
  const isComplete = end === workflow.firstJobId + workflow.total;
  if (isComplete) await sql`update workflows set is_expanded = true where id = ${workflowId}`;
  return isComplete;
}

interface Expanding {
  id: number;
  name: string;
  description: WorkflowDescription;
  firstJobId: number;
  total: number;
  isExpanded: boolean;
  rerunOf: number | null;
  selection: StepSelection | null;
  /** The first id that has no row. */
  next: number;
}

async function insertJobs(sql: SqlTransaction, workflow: Expanding, from: number, end: number): Promise<void> {
  const { steps } = planWorkflow(workflow.description);
  const rows = steps.flatMap((step, position) => jobsOf(workflow, step, position, from, end));
  await sql`
    insert into jobs (id, temporal_id, owner, groups, email, name, labels, workflow_id, step, instance, parameters)
    select fresh.id, 'job-' || fresh.id, owner, groups, email, fresh.name,
      coalesce(steps.description->'labels', '{}'), workflows.id, fresh.step, fresh.instance, fresh.parameters
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as fresh (id int, name text, step int, instance int, parameters jsonb)
    join workflows on workflows.id = ${workflow.id}
    join workflow_steps steps on steps.workflow_id = ${workflow.id} and steps.step = fresh.step
    order by fresh.id`;
  if (workflow.rerunOf !== null) {
    await keepFinished(sql, workflow, from, end);
    await countKept(sql, workflow, from, end);
  }
}

/** Jobs of this step with ids from `from` to before `end`. */
function jobsOf(workflow: Expanding, planned: PlannedStep, step: number, from: number, end: number): object[] {
  const first = workflow.firstJobId + planned.offset;
  const isFactory = planned.factory !== undefined;
  const rows: object[] = [];
  for (let id = Math.max(first, from); id < Math.min(first + planned.count, end); id += 1) {
    const instance = id - first;
    rows.push({
      id,
      step,
      instance,
      name: jobName(workflow.name, { name: planned.name, isFactory }, instance),
      ...(planned.factory ? { parameters: instanceParameters(planned.factory, instance) } : {}),
    });
  }
  return rows;
}

/**
 * What succeeded in the earlier workflow and is not to run again has succeeded here: same results, same outputs, same
 * output of tasks. What is neither selected nor has succeeded is left out.
 */
async function keepFinished(sql: SqlTransaction, workflow: Expanding, from: number, end: number): Promise<void> {
  const { selection } = workflow;
  await sql`
    with pairs as (
      select fresh.id, old.id as old_id, old.succeeded from workflows earlier
      join jobs fresh on fresh.workflow_id = ${workflow.id} and fresh.id >= ${from} and fresh.id < ${end}
      join jobs old on old.id = earlier.first_job_id + (fresh.id - ${workflow.firstJobId})
      where earlier.id = ${workflow.rerunOf}
        and ${selection === null ? sql`old.succeeded` : sql`not ${isSelected(sql, selection, 'old')}`}
    ), kept as (
      update jobs set status = old.status, status_reason = old.status_reason, status_detail = old.status_detail,
        started_at = old.started_at, ended_at = old.ended_at, attempt = old.attempt, execution = old.execution,
        succeeded = true, in_queue = false, kept_from = coalesce(old.kept_from, old.id)
      from pairs, jobs old where jobs.id = pairs.id and old.id = pairs.old_id and pairs.succeeded
    ), left_out as (
      update jobs set status = 'deleted', status_reason = ${reasons.notSelected}, ended_at = now(), in_queue = false
      from pairs where jobs.id = pairs.id and pairs.succeeded is not true
    )
    insert into outputs (job_id, attempt, kind, name, object_key, size)
    select pairs.id, attempt, kind, name, object_key, size
    from pairs join outputs on outputs.job_id = pairs.old_id where pairs.succeeded`;
}

async function countKept(sql: SqlTransaction, workflow: Expanding, from: number, end: number): Promise<void> {
  await sql`
    with kept as (
      select step, count(*) filter (where succeeded)::int as done, count(*) filter (where succeeded is null)::int as left_out
      from jobs where workflow_id = ${workflow.id} and id >= ${from} and id < ${end}
        and status not in ('pending', 'running') group by step
    ), counted as (
      update workflow_steps n set done = n.done + kept.done, left_out = n.left_out + kept.left_out
      from kept where n.workflow_id = ${workflow.id} and n.step = kept.step
    )
    update workflows w set done = w.done + sums.done, left_out = w.left_out + sums.left_out
    from (select coalesce(sum(done), 0)::int as done, coalesce(sum(left_out), 0)::int as left_out from kept) sums
    where id = ${workflow.id}`;
}
