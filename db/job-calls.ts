/** Calls: rows that the API writes and waits on, and a worker carries out. */
import type { CallRequest, CallResult } from '../domain/call-messages.ts';
import type { Database } from './connection.ts';

export interface JobCall {
  id: string;
  jobId: number;
  attempt: number;
  request: CallRequest;
}

/** Commands that nobody waits for any more: their API was killed. */
const forgottenAfter = '1 hour';

/** Also tells Temporal. Undefined: the job has `most` open ones already. */
export async function beginCall(
  db: Database,
  call: { jobId: number; attempt: number; request: CallRequest },
  most: number,
): Promise<string | undefined> {
  const { jobId, attempt, request } = call;
  const [row] = await db.$client<{ id: string }[]>`
    with forgotten as (
      delete from job_calls where job_id = ${jobId} and request->>'kind' = 'exec' and created_at < now() - ${forgottenAfter}::interval
    ), call as (
      insert into job_calls (job_id, attempt, request)
      select ${jobId}, ${attempt}, ${JSON.stringify(request)}::jsonb
      where ${most} > (
        select count(*) from job_calls
        where job_id = ${jobId} and ended_at is null and created_at > now() - interval '10 minutes'
      )
      returning id
    ), told as (
      insert into outbox (kind, target, payload)
      select 'startCall', 'job-' || ${jobId}::int || '-call-' || id, jsonb_build_object('callId', id) from call
    )
    select id from call`;
  return row?.id;
}

export interface CallState {
  result: CallResult | null;
  /** In order, after the position asked for. */
  output: { position: number; bytes: Buffer }[];
}

export async function readCall(db: Database, id: string, afterPosition: number): Promise<CallState | undefined> {
  const sql = db.$client;
  // Asked in this order: what was written before the end is there when the end is.
  const [call] = await sql<{ result: CallResult | null }[]>`select result from job_calls where id = ${id}`;
  if (!call) return undefined;
  const output = await sql<CallState['output']>`
    select position, bytes from job_call_output where call_id = ${id} and position > ${afterPosition} order by position`;
  return { result: call.result, output: [...output] };
}

/** Nobody wants it any more: whoever carries it out finds no row. */
export async function forgetCall(db: Database, id: string): Promise<void> {
  await db.$client`delete from job_calls where id = ${id}`;
}

/** Undefined when it has ended, or nobody wants it. */
export async function findOpenCall(db: Database, id: string): Promise<JobCall | undefined> {
  const [row] = await db.$client<JobCall[]>`
    select id, job_id as "jobId", attempt, request from job_calls where id = ${id} and ended_at is null`;
  return row;
}

/** True once: what a command does can't be repeated. */
export async function claimCall(db: Database, id: string): Promise<boolean> {
  const rows = await db.$client`
    update job_calls set started_at = now() where id = ${id} and started_at is null and ended_at is null returning id`;
  return rows.length > 0;
}

/** False when nobody wants it any more. */
export async function appendCallOutput(db: Database, id: string, position: number, bytes: Buffer): Promise<boolean> {
  const rows = await db.$client`
    insert into job_call_output (call_id, position, bytes)
    select id, ${position}, ${bytes} from job_calls where id = ${id} for key share
    returning call_id`;
  return rows.length > 0;
}

/** The first end counts. */
export async function endCall(db: Database, id: string, result: CallResult): Promise<void> {
  await db.$client`
    update job_calls set ended_at = now(), result = ${JSON.stringify(result)}::jsonb where id = ${id} and ended_at is null`;
}

/** The last one that was made, of this path or of any; of whatever attempt. */
export async function latestSnapshot(db: Database, jobId: number, path?: string): Promise<string | undefined> {
  const [row] = await db.$client<{ id: string }[]>`
    select id from job_calls
    where job_id = ${jobId} and request->>'kind' = 'snapshot' and result->>'kind' = 'uploaded'
      and (${path ?? null}::text is null or request->>'path' = ${path ?? null}::text)
    order by created_at desc limit 1`;
  return row?.id;
}
