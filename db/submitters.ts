/** Which jobs and workflows a job has submitted with its token. That never changes, so it can be asked ahead of a change. */
import type { Database } from './connection.ts';

/** Of these jobs, those that the job submitted, by themselves or as part of a workflow. */
export async function submittedJobs(db: Database, submitter: number, ids: number[]): Promise<number[]> {
  const rows = await db.$client<{ id: number }[]>`
    select id from jobs where id = any(${ids}::int[])
      and coalesce(submitted_by, (select w.submitted_by from workflows w where w.id = jobs.workflow_id)) = ${submitter}`;
  return rows.map(({ id }) => id);
}

export async function submittedWorkflows(db: Database, submitter: number, ids: number[]): Promise<number[]> {
  const rows = await db.$client<{ id: number }[]>`
    select id from workflows where id = any(${ids}::int[]) and submitted_by = ${submitter}`;
  return rows.map(({ id }) => id);
}
