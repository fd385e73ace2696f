/**
 * What a job needs done on its machine. Each activity first asks whether its attempt still counts, and may be repeated:
 * the machine finds what an earlier call left. URLs and credentials are made here and never travel through Temporal.
 */
import { ApplicationFailure } from '@temporalio/common';
import { Context } from '@temporalio/activity';
import { DrizzleQueryError } from 'drizzle-orm';
import { isUnavailable, type Database } from '../db/connection.ts';
import { announcedChecksums } from '../db/uploads.ts';
import { artifactObject, imageObject } from '../descriptions/object-names.ts';
import { currentRun, markRunning, publishOutputs, recordWait, type RunFacts } from '../db/execution.ts';
import { forgetObjects } from '../db/quotas.ts';
import { findImage, forgetImage, recordImage } from '../db/machines.ts';
import { scratchOutputs } from '../domain/environment.ts';
import type { JobExecution } from '../domain/execution.ts';
import { benchmarkExitCode } from '../domain/benchmark.ts';
import type {
  AttemptRef,
  LaunchAnswer,
  LaunchRef,
  PullAnswer,
  StageInAnswer,
  StageOutAnswer,
} from '../domain/job-messages.ts';
import type { JobTokenSubject } from '../domain/job-token.ts';
import type { RunRef } from '../domain/runs.ts';
import { withoutTrailingSlashes } from '../domain/slashes.ts';
import { artifactFileName, meetingFiles } from '../domain/staged-names.ts';
import { pathInDefault } from '../domain/mount.ts';
import { HostError } from '../hosts/host.ts';
import { ImageError, type ImageRequest, type Machine, type OutputRequest } from '../hosts/machine.ts';
import { outputKey } from '../storage/keys.ts';
import type { Sealing } from '../secrets/sealing.ts';
import { StorageError } from '../storage/errors.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { byDescription, DescriptionError } from './description-error.ts';
import { ImageMissing, imageRequest, objectKey } from './images.ts';
import { preparation, scratchBinds, taskLaunch } from './launch.ts';
import { RetryBudget } from './retry-budget.ts';

export interface HostDependencies {
  db: Database;
  store: ObjectStore;
  sealing: Sealing;
  deployment: string;
  /** What jobs are told as PROMINENCE_URL. */
  apiUrl: string;
  /** Makes what they are told as PROMINENCE_TOKEN. */
  jobToken(subject: JobTokenSubject, walltimeSeconds: number): Promise<string>;
  insecureRegistries: string[];
  imageDirectories: string[];
  imageRefreshMinutes: number;
  /** Where storage of the type b2drop is. */
  b2dropUrl: string;
  /** How long a storage may take nothing of what a job wrote. */
  storagePatienceSeconds: number;
  killGraceSeconds: number;
  logBytesPerStream: number;
  /** Of all outputs of a job, and of a snapshot. */
  mostBytes: number;
  machine(id: number): Promise<Machine>;
}

export interface HostActivities {
  stageIn(ref: AttemptRef): Promise<StageInAnswer>;
  pullImage(ref: AttemptRef & { taskIndex: number }): Promise<PullAnswer>;
  startTask(ref: LaunchRef): Promise<LaunchAnswer>;
  killRun(ref: AttemptRef & { keepStorage?: true }): Promise<void>;
  stageOut(ref: AttemptRef): Promise<StageOutAnswer>;
}

/** Types of failures that are worth waiting for. */
const storeAway = 'StoreIsAway';
const imageAway = 'ImageAway';

/** What failed this often is not going to work: the job says so instead of trying for ever. */
const pullAttempts = 3;
const refusedAttempts = 3;
const unexpectedAttempts = 10;
/** Signed URLs outlive the longest transfer and its retries. */
const urlSeconds = 24 * 3600;

export function createHostActivities(deps: HostDependencies): HostActivities {
  const { db, store } = deps;
  const runOf = (ref: AttemptRef): RunRef => runRef(deps, ref);

  const imageOf = (run: RunFacts, ref: AttemptRef, taskIndex: number) => imageOfTask(deps, run, runOf(ref), taskIndex);

  return {
    stageIn: (ref) =>
      guardedFor(deps, ref, async (budget) => {
        const run = await requireCurrent(db, ref);
        await sayRunning(db, run, ref, new Date());
        const { description, owner, groups } = run.job;
        // Names that parameters were put into meet in single instances.
        const meeting = meetingFiles(description.artifacts, description.inputs);
        if (meeting) return { kind: 'failed', step: 'download', detail: meeting, seconds: 0 };
        const stored = description.artifacts.map(({ url }) =>
          artifactObject(url) ? pathInDefault(description.storage, url) : undefined,
        );
        const uploaded = description.artifacts.map(({ url }, index) =>
          stored[index] === undefined ? artifactObject(url) : undefined,
        );
        const keys = uploaded.map((object) => object && objectKey(object, { owner, groups }));
        const unreadable = description.artifacts.find((_, index) => uploaded[index] && keys[index] === undefined);
        if (unreadable) {
          return { kind: 'failed', step: 'download', detail: `Artifact ${unreadable.url} does not exist`, seconds: 0 };
        }
        const checksums = await announcedChecksums(
          db,
          keys.filter((key) => key !== undefined),
        );
        const artifacts = await Promise.all(
          description.artifacts.map(async ({ url, executable }, index) => {
            const path = stored[index];
            if (path !== undefined) return { stored: path, filename: path.split('/').pop()!, executable };
            const key = keys[index];
            const filename = key?.split('/').pop() ?? byDescription(() => artifactFileName(new URL(url).href));
            if (key === undefined) return { url, filename, executable };
            const sha256 = checksums.get(key);
            return {
              url: await store.presignGet(key, urlSeconds),
              filename,
              executable,
              ...(sha256 ? { sha256 } : {}),
            };
          }),
        );
        const machine = await deps.machine(run.machineId);
        const { cancellationSignal } = Context.current();
        const staged = await machine.stageIn(runOf(ref), preparation(description), artifacts, cancellationSignal);
        if (staged.kind === 'done') return staged;
        const { step, detail, seconds, isAway, index } = staged;
        if (isAway && keys[index] !== undefined && budget.mayWaitForStore()) throw storeIsAway(detail);
        return { kind: 'failed', step, detail, seconds };
      }),

    pullImage: (ref) =>
      guardedFor(deps, ref, async (budget) => {
        const run = await requireCurrent(db, ref);
        await sayRunning(db, run, ref, new Date());
        try {
          const image = await imageOf(run, ref, ref.taskIndex);
          const machine = await deps.machine(run.machineId);
          const pulled = await machine.pullImage(image, Context.current().cancellationSignal);
          const { machineId } = run;
          const { fileSha256, digest } = pulled;
          await recordImage(db, {
            machineId,
            imageKey: image.imageKey,
            fileSha256,
            digest: digest ?? null,
            size: pulled.sizeBytes,
          });
          return {
            kind: 'pulled',
            image: {
              imagePullStatus: pulled.status,
              imageSha256: fileSha256,
              ...(pulled.status === 'completed' ? { imagePullTime: pulled.seconds } : {}),
              ...(digest ? { imageDigest: digest } : {}),
            },
          };
        } catch (error) {
          if (error instanceof ImageMissing) return { kind: 'failed', detail: error.message };
          if (!(error instanceof ImageError)) throw error;
          const isUploaded = imageObject(run.job.description.tasks[ref.taskIndex]!.image) !== undefined;
          const isWorthATry = () => (isUploaded ? budget.mayWaitForStore() : budget.count('pull') < pullAttempts);
          if (error.code === 'transient' && isWorthATry()) throw ApplicationFailure.retryable(error.message, imageAway);
          return { kind: 'failed', detail: error.message };
        }
      }),

    startTask: (ref) =>
      guardedFor(deps, ref, async () => {
        const run = await currentRun(db, ref);
        if (!run) return { kind: 'stale' };
        if (run.job.deleteRequestedAt) return { kind: 'deleted' };
        const task = run.job.description.tasks[ref.taskIndex]!;
        if (task.runtime === 'benchmark') {
          const at = Date.now() / 1000;
          await sayRunning(db, run, ref, new Date(at * 1000));
          const exitCode = benchmarkExitCode(task.cmd, ref.attempt);
          const ended = {
            cause: 'exited',
            startedAt: at,
            endedAt: at,
            cpuSeconds: 0,
            maxResidentSetSizeKb: 0,
          } as const;
          return { kind: 'finished', result: { exitCode, ...ended } };
        }
        const image = await imageOf(run, ref, ref.taskIndex).catch((error: unknown) => {
          // The pull step will say what is missing, in its own words.
          if (error instanceof ImageMissing) return undefined;
          throw error;
        });
        const { machineId } = run;
        const refreshMinutes = ref.isPulled ? Infinity : deps.imageRefreshMinutes;
        const cached = image && (await findImage(db, machineId, image.imageKey, refreshMinutes));
        if (!image || !cached) return { kind: 'imageMissing' };
        const machine = await deps.machine(machineId);
        const started = await machine.startTask(
          runOf(ref),
          taskLaunch(run.job.description, {
            jobId: ref.jobId,
            taskIndex: ref.taskIndex,
            retry: ref.retry,
            walltimeSeconds: ref.walltimeSeconds,
            killGraceSeconds: deps.killGraceSeconds,
            size: run.size,
            apiUrl: deps.apiUrl,
            token: await deps.jobToken(tokenSubject(run.job, ref.attempt), ref.walltimeSeconds),
            imageKey: image.imageKey,
            fileSha256: cached.fileSha256,
            logBytesPerStream: deps.logBytesPerStream,
            instance: {
              ...(run.job.workflowId === null ? {} : { workflowId: run.job.workflowId }),
              ...(run.job.parameters === null ? {} : { parameters: run.job.parameters }),
            },
          }),
        );
        if (started.kind === 'imageMissing') {
          await forgetImage(db, machineId, image.imageKey);
          return { kind: 'imageMissing' };
        }
        if (started.kind === 'killed') return { kind: 'killed' };
        await sayRunning(db, run, ref, new Date(started.startedAt * 1000));
        return { kind: 'started' };
      }),

    killRun: (ref) =>
      guardedFor(deps, ref, async () => {
        const run = await currentRun(db, ref);
        if (!run) return;
        const machine = await deps.machine(run.machineId);
        await machine.killRun(runOf(ref), deps.killGraceSeconds, ref.keepStorage ? 'keepMount' : 'endMount');
      }),

    stageOut: (ref) =>
      guardedFor(deps, ref, async (budget) => {
        const run = await requireCurrent(db, ref);
        const { description, uid } = run.job;
        const wanted = [
          ...description.outputFiles.map((name) => ({ kind: 'file' as const, name })),
          ...description.outputDirs.map((name) => ({ kind: 'directory' as const, name })),
        ].map(({ kind, name }) => ({ kind, name, key: outputKey(uid, ref.attempt, kind, name) }));
        const scratchOutput = scratchOutputs(description.artifacts);
        const inScratch = (name: string) => scratchOutput(name) ?? name;
        const began = Date.now();
        const { mostBytes } = deps;
        const by = { owner: run.job.owner, groups: run.job.groups, kind: 'output' as const };
        const requests = await Promise.all(
          wanted.map(async ({ kind, name: asked, key }): Promise<OutputRequest> => {
            const name = inScratch(asked);
            const stored = pathInDefault(
              description.storage,
              kind === 'directory' ? `${withoutTrailingSlashes(name)}.tgz` : name,
            );
            return stored === undefined
              ? { kind, name, url: await store.presignPut(key, urlSeconds, { mostBytes, by }) }
              : { kind, name, stored };
          }),
        );
        const machine = await deps.machine(run.machineId);
        const results = await machine.stageOut(runOf(ref), requests, {
          binds: scratchBinds(description),
          signal: Context.current().cancellationSignal,
        });
        const failures = results.flatMap((result) => (result.kind === 'failed' ? [result] : []));
        const isRefused = failures.some(({ cause }) => cause === 'refused');
        const isAway = failures.some(({ cause }) => cause === 'upload');
        // The results stay on the machine meanwhile.
        if ((isAway && budget.mayWaitForStore()) || (isRefused && budget.count('refused') < refusedAttempts)) {
          throw storeIsAway([...new Set(failures.map(({ detail }) => detail))].join('; '));
        }
        const stored = results.flatMap((result, index) => {
          const { kind, name, key } = wanted[index]!;
          // What the user's own storage has is not ours to hand out.
          const isOurs = requests[index]!.stored === undefined;
          return result.kind === 'uploaded' && isOurs ? [{ kind, name, key, size: result.sizeBytes }] : [];
        });
        const bytes = stored.reduce((sum, { size }) => sum + size, 0);
        if (bytes > mostBytes) {
          for (const { key } of stored) await store.delete(key);
          await forgetObjects(
            db,
            stored.map(({ key }) => key),
          );
          const detail = `the outputs have ${bytes} bytes together, and those of a job may have ${mostBytes}`;
          return { seconds: (Date.now() - began) / 1000, failures: [{ cause: 'upload', detail }] };
        }
        await publishOutputs(db, ref, stored);
        return {
          seconds: (Date.now() - began) / 1000,
          failures: failures.map(({ cause, detail }) => ({
            cause: cause === 'refused' || cause === 'unreadable' ? 'upload' : cause,
            detail,
          })),
        };
      }),
  };
}

export const runRef = ({ deployment }: HostDependencies, { jobId, attempt }: AttemptRef): RunRef => ({
  deployment,
  jobId,
  attempt,
  node: 0,
});

/** @throws ImageMissing */
export function imageOfTask(
  deps: HostDependencies,
  { job }: RunFacts,
  run: RunRef,
  taskIndex: number,
): Promise<ImageRequest> {
  const { owner, groups } = job;
  const { store, insecureRegistries, imageDirectories } = deps;
  const { tasks, storage } = deps.sealing.open(job.description);
  const context = { owner, groups, store, insecureRegistries, imageDirectories };
  return imageRequest(tasks[taskIndex]!, { ...context, ...(storage ? { mounted: { storage, run } } : {}) });
}

/** The first sign of an attempt's life. */
export async function sayRunning(db: Database, run: RunFacts, ref: AttemptRef, startedAt: Date): Promise<void> {
  if (run.job.status !== 'pending') return;
  const { cpus, memory, disk } = run.size;
  await markRunning(
    db,
    ref,
    {
      site: run.site,
      provisionedResources: { cpus, memory: Math.ceil(memory / 1e9), disk: Math.ceil(disk / 1e9), nodes: 1 },
      ...(run.machineFacts ? { cpu: run.machineFacts.cpu, runtimeVersion: runtimesOf(run) } : {}),
    },
    startedAt,
  );
}

/** The versions of what the job's tasks ask for. */
function runtimesOf({ machineFacts, job }: RunFacts): NonNullable<JobExecution['runtimeVersion']> {
  const isUsed = ([name]: [string, string]) => job.description.tasks.some(({ runtime }) => runtime === name);
  return Object.fromEntries(Object.entries(machineFacts?.runtimes ?? {}).filter(isUsed));
}

export function tokenSubject({ id, owner, groups, email }: RunFacts['job'], attempt: number): JobTokenSubject {
  return { username: owner, groups, ...(email === null ? {} : { email }), job: id, attempt };
}

export async function requireCurrent(db: Database, ref: AttemptRef): Promise<RunFacts> {
  const run = await currentRun(db, ref);
  if (!run)
    throw ApplicationFailure.nonRetryable(
      `attempt ${ref.attempt} of job ${ref.jobId} no longer counts`,
      'StaleAttempt',
    );
  return run;
}

const storeIsAway = (detail: string) => ApplicationFailure.retryable(detail, storeAway);

/**
 * Heartbeats while working. What can't be done for the description alone is not tried again. A host out of reach is tried
 * for ever (its follower decides when it is lost), our database too (nothing can be decided without it), the object store
 * for as long as we are patient, anything else not. What our own end or the caller's cancels is no failure of the work.
 * @param recordWait what is waited for until the next try; null when it is over
 */
export async function guarded<T>(
  work: (budget: RetryBudget) => Promise<T>,
  recordWait?: (words: string | null) => Promise<void>,
): Promise<T> {
  const context = Context.current();
  const budget = new RetryBudget(context.info.heartbeatDetails);
  const beat = setInterval(() => context.heartbeat(budget.record), 3000);
  try {
    const result = await work(budget);
    if (budget.hasWaited) await recordWait?.(null);
    return result;
  } catch (error) {
    const isEnding = context.cancellationSignal.aborted;
    const isFinal = !isEnding && !mayBeTriedAgain(error, budget);
    const awaited = isEnding || isFinal ? undefined : awaitedIn(error);
    if (awaited !== undefined) {
      const since = `${new Date(budget.wait()).toISOString().slice(11, 19)}Z`;
      // That it could not be told is no reason to stop waiting.
      await recordWait?.(`waiting since ${since} for ${awaited}: ${(error as Error).message}`).catch(() => {});
    }
    // The worker sends the last heartbeat before it reports a failure.
    context.heartbeat(budget.record);
    if (isFinal) throw ApplicationFailure.nonRetryable(wordsOf(error), 'Unexpected');
    throw error;
  } finally {
    clearInterval(beat);
  }
}

/** The same for a run: what it waits for is told of its job. */
export const guardedFor = <T>(
  { db }: Pick<HostDependencies, 'db'>,
  ref: AttemptRef,
  work: (budget: RetryBudget) => Promise<T>,
): Promise<T> => guarded(work, (words) => recordWait(db, ref, words));

/** What is away in whose absence the work could not be done; undefined: nothing that a user would know. */
function awaitedIn(error: unknown): string | undefined {
  if (error instanceof ApplicationFailure) {
    if (error.type === storeAway) return 'the object store';
    return error.type === imageAway ? 'the source of the image' : undefined;
  }
  if (error instanceof StorageError) return 'the object store';
  return error instanceof HostError ? 'the machine' : undefined;
}

function mayBeTriedAgain(error: unknown, budget: RetryBudget): boolean {
  if (error instanceof DescriptionError) return false;
  // It says itself whether it may.
  if (error instanceof ApplicationFailure) return true;
  if (error instanceof HostError && error.code !== 'aborted') return true;
  const isOfStore = error instanceof StorageError;
  if (isOfStore && error.code === 'unavailable' && budget.mayWaitForStore()) return true;
  if (!isOfStore && isUnavailable(error)) return true;
  return budget.count('unexpected') < unexpectedAttempts;
}

/** For the user: a query of ours that failed is none of their business, but why it did is. */
const wordsOf = (error: unknown): string =>
  error instanceof DescriptionError
    ? error.message
    : String(error instanceof DrizzleQueryError && error.cause ? error.cause : error);
