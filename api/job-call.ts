/**
 * Asking something of a running job and waiting for what comes of it. The row of a command is gone when this is over,
 * however it ends: then a worker that still runs it stops.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Database } from '../db/connection.ts';
import { beginCall, forgetCall, readCall } from '../db/job-calls.ts';
import type { CallRequest, CallResult } from '../domain/call-messages.ts';
import { ApiError, badRequest, unavailable } from './errors.ts';
import { mostCalls } from './limits.ts';

interface Dependencies {
  db: Database;
  wakeOutbox: () => void;
}

export interface AskedCall {
  id: string;
  /** What a command writes, as it comes; returns its end. Nothing for a snapshot. @throws ApiError 503 when it is too late */
  progress: AsyncGenerator<Buffer, CallResult>;
}

/** For a worker to take it up and come to the machine. */
const patienceMs = 20_000;

/** @throws ApiError 429 */
export async function askJob(
  { db, wakeOutbox }: Dependencies,
  job: { jobId: number; attempt: number },
  request: CallRequest,
  limitSeconds: number,
  /** The request's: aborted when the client goes away. */
  signal: AbortSignal,
): Promise<AskedCall> {
  const id = await beginCall(db, { ...job, request }, mostCalls);
  if (id === undefined) throw new ApiError(429, `This job has ${mostCalls} commands under way: wait for one to end`);
  wakeOutbox();
  return { id, progress: follow(db, id, Date.now() + limitSeconds * 1000 + patienceMs, signal) };
}

async function* follow(
  db: Database,
  id: string,
  deadline: number,
  signal: AbortSignal,
): AsyncGenerator<Buffer, CallResult> {
  let position = 0;
  for (let wait = 20; ; wait = Math.min(wait * 1.5, 250)) {
    const state = await readCall(db, id, position);
    if (!state || signal.aborted) return { kind: 'broken', detail: 'nobody waits for it' };
    for (const piece of state.output) {
      position = piece.position;
      yield piece.bytes;
    }
    if (state.result) return state.result;
    if (Date.now() > deadline) throw unavailable('No worker has carried this out in time, please try again');
    await pause(wait);
  }
}

/** What a command writes; its row goes with the reader. */
export async function* outputOf({ db }: Dependencies, call: AskedCall): AsyncGenerator<Buffer, CallResult> {
  try {
    return yield* call.progress;
  } finally {
    await call.progress.return({ kind: 'broken', detail: 'nobody waits for it' });
    await forgetCall(db, call.id);
  }
}

/** @throws ApiError 400 or 503 when it did not come to a good end */
export function requireDone(result: CallResult): void {
  if (result.kind === 'refused') throw badRequest(result.detail);
  if (result.kind === 'broken') throw unavailable(`The job's machine did not answer: ${result.detail}`);
}
