/** Reading captured output from a byte offset. Pieces may repeat or overlap: each byte is given once. */
import type { Database } from './connection.ts';

export interface JobHandle {
  id: number;
  owner: string;
  /** 0: nothing has run yet. What a rerun kept has the number that it had. */
  attempt: number;
  /** Where its output is: itself, or the job of an earlier workflow that a rerun kept. */
  originId: number;
  /** The job that submitted it or its workflow, if one did. */
  submittedBy: number | null;
}

/** Whoever owns it: the caller decides what that means. */
export async function findJobHandle(db: Database, id: number): Promise<JobHandle | undefined> {
  const [row] = await db.$client<JobHandle[]>`
    select jobs.id, jobs.owner, jobs.attempt, coalesce(jobs.kept_from, jobs.id) as "originId",
      coalesce(jobs.submitted_by, (select w.submitted_by from workflows w where w.id = jobs.workflow_id)) as "submittedBy"
    from jobs where jobs.id = ${id}`;
  return row;
}

export interface StepOfJob {
  firstJobId: number;
  count: number;
  isFactory: boolean;
}

/** By the names of jobs in the description; names that are not there are absent. */
export async function findSteps(db: Database, workflowId: number, names: string[]): Promise<Map<string, StepOfJob>> {
  const rows = await db.$client<(StepOfJob & { name: string })[]>`
    select name, first_job_id as "firstJobId", count, is_factory as "isFactory"
    from workflow_steps where workflow_id = ${workflowId} and name = any(${names}::text[])`;
  return new Map(rows.map(({ name, ...step }) => [name, step]));
}

export interface OutputRef {
  jobId: number;
  attempt: number;
  node: number;
  stream: 'stdout' | 'stderr';
}

/** A few pieces at a time, of so many bytes or one: output can be larger than what we want in memory. */
const piecesPerQuery = 32;
const bytesPerQuery = 1_048_576;

export async function* readOutput(db: Database, ref: OutputRef, offsetBytes: number): AsyncGenerator<Buffer> {
  const { jobId, attempt, node, stream } = ref;
  let position = offsetBytes;
  let lastPiece = -1;
  for (;;) {
    const pieces = await db.$client<{ offset: number; bytes: Buffer; found: number }[]>`
      with next as (
        select byte_offset, byte_length, bytes from job_logs
        where job_id = ${jobId} and attempt = ${attempt} and node = ${node} and stream = ${stream}
          and byte_offset > ${lastPiece} and byte_offset + byte_length > ${position}
        order by byte_offset limit ${piecesPerQuery}
      )
      select byte_offset::float8 as "offset", bytes, found
      from (
        select *, count(*) over ()::int as found,
          sum(byte_length) over (order by byte_offset) - byte_length as bytes_before
        from next
      ) counted
      where bytes_before < ${bytesPerQuery} order by byte_offset`;
    for (const { offset, bytes } of pieces) {
      lastPiece = offset;
      const fresh = bytes.subarray(Math.max(0, position - offset));
      if (fresh.length === 0) continue;
      // A hole would be bytes that were lost for good: what comes after it is still worth reading.
      position = Math.max(position, offset) + fresh.length;
      yield fresh;
    }
    const found = pieces[0]?.found ?? 0;
    if (pieces.length === found && found < piecesPerQuery) return;
  }
}
