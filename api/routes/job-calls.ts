/** Looking into a running job: commands beside its tasks, and snapshots of its files (docs/wire.md 2.3). */
import type { Context } from 'hono';
import type { Database } from '../../db/connection.ts';
import { findJob, type JobRow } from '../../db/execution.ts';
import { forgetCall, latestSnapshot } from '../../db/job-calls.ts';
import type { CallResult } from '../../domain/call-messages.ts';
import { snapshotKey } from '../../storage/keys.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import { readOptionalJson } from '../body.ts';
import { badRequest } from '../errors.ts';
import { askJob, outputOf, requireDone } from '../job-call.ts';
import { isObject } from '../masking.ts';
import { jobCallOperations as docs } from '../openapi/jobs.ts';
import { refuseOtherRuns } from '../../service/own.ts';
import type { QuotaKeeper } from '../../service/quotas.ts';
import { resource, type App, type Env, type Guards } from '../resource.ts';
import { plainText } from '../streaming.ts';
import { jobOf } from './jobs.ts';

/** Below the time that clients wait for an answer to begin. */
const execSeconds = 90;
const snapshotSeconds = 90;
const getSeconds = 3600;
const longestCommand = 65_536;
const longestPath = 1024;
/** So long the end of a command is waited for when it has written something: then its exit code can be told. */
const promptEndMs = 1000;

interface Dependencies {
  db: Database;
  store: ObjectStore;
  wakeOutbox: () => void;
  quotas: QuotaKeeper;
}

export function jobCallRoutes(app: App, guards: Guards, deps: Dependencies): void {
  const { db, store } = deps;

  resource(app, '/jobs/:id{[0-9]+}/exec', guards, {
    docs: { POST: docs.exec },
    jobToken: { POST: 'changes' },
    POST: async (c) => {
      const job = await runningJob(db, c);
      const argv = await readCommand(c);
      const ref = { jobId: job.id, attempt: job.attempt };
      const call = await askJob(
        deps,
        ref,
        { kind: 'exec', argv, limitSeconds: execSeconds },
        execSeconds,
        c.req.raw.signal,
      );
      const { pieces, result } = await firstPieces(outputOf(deps, call));
      if (result) requireDone(result);
      const answer = await plainText(c, pieces);
      if (result?.kind === 'ended') answer.headers.set('X-Exit-Code', String(result.exitCode));
      return answer;
    },
  });

  resource(app, '/jobs/:id{[0-9]+}/snapshot', guards, {
    docs: { PUT: docs.makeSnapshot, GET: docs.snapshot },
    jobToken: { GET: 'reads', PUT: 'changes' },
    PUT: async (c) => {
      const job = await runningJob(db, c);
      const path = readPath(c, job);
      await deps.quotas.refuseFull(job.owner);
      const ref = { jobId: job.id, attempt: job.attempt };
      const call = await askJob(deps, ref, { kind: 'snapshot', path }, snapshotSeconds, c.req.raw.signal);
      try {
        const { value } = await call.progress.next();
        requireDone(value as CallResult);
      } catch (error) {
        await forgetCall(db, call.id);
        throw error;
      }
      return c.json({});
    },
    GET: async (c) => {
      const handle = await jobOf(db, c);
      const job = (await findJob(db, handle.id))!;
      const asked = c.req.query('path');
      const id = await latestSnapshot(db, job.id, asked === undefined ? undefined : readPath(c, job));
      // What was made outlives the job, which may have ended since.
      if (id !== undefined) return c.json({ url: await store.presignGet(snapshotKey(job.uid, id), getSeconds) });
      throw badRequest(job.status === 'running' ? 'There is no snapshot of this job yet' : notRunning);
    },
  });
}

const notRunning = 'Job is not running';

/** @throws ApiError 400 or 403 */
async function runningJob(db: Database, c: Context<Env>): Promise<JobRow> {
  const identity = c.get('identity');
  const handle = await jobOf(db, c);
  refuseOtherRuns(identity, handle);
  const job = await findJob(db, handle.id);
  if (job?.status !== 'running') throw badRequest(notRunning);
  return job;
}

/** As the client sends it, with commas between the words; or as JSON, where a word may hold a comma. */
async function readCommand(c: Context): Promise<string[]> {
  const body = await readOptionalJson(c);
  const given = isObject(body) ? body['command'] : undefined;
  const argv = given ?? c.req.query('command')?.split(',');
  const isWords = Array.isArray(argv) && argv.every((word): word is string => typeof word === 'string');
  if (!isWords || !argv[0]) throw badRequest('A command to execute must be specified');
  const text = argv.join('\n');
  if (text.includes('\0') || Buffer.byteLength(text) > longestCommand) {
    throw badRequest(`A command must be at most ${longestCommand} bytes, without NUL`);
  }
  return argv;
}

/** Relative to scratch, or exactly where a folder of it is mounted. @throws ApiError 400 */
function readPath(c: Context, job: JobRow): string {
  const path = c.req.query('path');
  if (!path) throw badRequest('A path to snapshot must be specified');
  const mounted = job.description.artifacts.find(({ mountpoint }) => mountpoint?.target === path);
  if (mounted?.mountpoint) return mounted.mountpoint.source;
  const isInside = !path.startsWith('/') && !path.split('/').includes('..') && !/[\p{Cc}\p{Surrogate}]/u.test(path);
  if (!isInside || Buffer.byteLength(path) > longestPath) throw badRequest('Invalid path');
  return path;
}

/** What was written soon, the rest as it will come, and the end if there is one already. */
async function firstPieces(
  output: AsyncGenerator<Buffer, CallResult>,
): Promise<{ pieces: AsyncGenerator<Buffer>; result?: CallResult }> {
  const early: Buffer[] = [];
  let next = output.next();
  for (let deadline = Infinity; ;) {
    const left = deadline - Date.now();
    const step = await Promise.race([next, ...(left === Infinity ? [] : [tooLong(left)])]);
    if (step === undefined) return { pieces: following(early, next, output) };
    if (step.done) return { pieces: following(early), result: step.value };
    early.push(step.value);
    if (deadline === Infinity) deadline = Date.now() + promptEndMs;
    next = output.next();
  }
}

const tooLong = (ms: number): Promise<undefined> => new Promise((resolve) => void setTimeout(resolve, ms, undefined));

async function* following(
  early: Buffer[],
  next?: Promise<IteratorResult<Buffer, CallResult>>,
  output?: AsyncGenerator<Buffer, CallResult>,
): AsyncGenerator<Buffer> {
  try {
    yield* early;
    let step = await next;
    for (; step && !step.done; step = await output?.next()) yield step.value;
    // Too late for a status: what was written is in the answer already.
    if (step?.done && step.value.kind === 'broken') yield Buffer.from(`\n[prominence: ${step.value.detail}]\n`);
  } finally {
    await output?.return({ kind: 'broken', detail: 'nobody waits for it' });
  }
}
