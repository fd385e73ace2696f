/**
 * One attempt of a job on its machine: mount its storage, stage in, have the images, start the sidecars, run the tasks in
 * order, stage out, unmount.
 * Says how it went; what that means for the job is decided elsewhere. Ends early only when the machine or the run is lost.
 */
import { CancellationScope, condition } from '@temporalio/workflow';
import type { TaskExecution, TaskResult } from '../domain/execution.ts';
import type { RunReport } from '../domain/job-outcome.ts';
import type { AttemptRef, JobPlan, JobView, PullAnswer, RunLost } from '../domain/job-messages.ts';
import { launchNumberOf } from '../domain/launch.ts';
import { hosts, transfers } from './activities.ts';

/** What the outside told about this attempt so far; filled by signal handlers. */
export interface RunSignals {
  finished: Map<number, TaskResult>;
  lost?: RunLost;
}

export type RunEnd =
  { kind: 'lost'; lost: RunLost; report: RunReport } | { kind: 'ended'; report: RunReport; timing: Timing };

export interface Timing {
  stageInSeconds?: number;
  stageOutSeconds?: number;
}

/** The machine enforces the walltime; a machine that forgot is asked to kill the run this much later. */
const backstopSeconds = 300;
/** An image that others push out of the cache before it is used is pulled again, but not for ever. */
const mostPulls = 5;
/** How much longer than the walltime a sidecar may live: images of the tasks beside it have to be pulled meanwhile. */
const sidecarSeconds = 24 * 3600;

export async function runAttempt(
  plan: JobPlan,
  ref: AttemptRef,
  signals: RunSignals,
  tell: (view: Partial<JobView>) => void,
): Promise<RunEnd> {
  const report: RunReport = { tasks: [], stageOutFailures: [] };
  const timing: Timing = {};
  try {
    if (plan.hasStorage && !(await mount(ref, signals, report, tell))) return { kind: 'ended', report, timing };
    await work(plan, ref, signals, report, timing, tell);
    if (plan.hasStorage) {
      tell({ phase: 'unmounting' });
      const unmounted = await unlessLost(signals, () => transfers.unmountStorage(ref));
      if (unmounted.kind === 'failed') report.stageOutFailures.push({ cause: 'upload', detail: unmounted.detail });
    }
    return { kind: 'ended', report, timing };
  } catch (error) {
    if (error instanceof Lost) return { kind: 'lost', lost: error.lost, report };
    throw error;
  }
}

/** Returns whether anything else can be done. */
async function mount(
  ref: AttemptRef,
  signals: RunSignals,
  report: RunReport,
  tell: (view: Partial<JobView>) => void,
): Promise<boolean> {
  tell({ phase: 'mounting' });
  const mounted = await unlessLost(signals, () => transfers.mountStorage(ref));
  if (mounted.kind === 'killed') throw ended(ref, 'its storage was mounted');
  if (mounted.kind === 'failed') report.mountFailure = mounted;
  return mounted.kind === 'mounted';
}

/** What the machine does for the job, between the mount and the unmount of its storage where it has one. */
async function work(
  plan: JobPlan,
  ref: AttemptRef,
  signals: RunSignals,
  report: RunReport,
  timing: Timing,
  tell: (view: Partial<JobView>) => void,
): Promise<void> {
  if (plan.hasArtifacts) {
    tell({ phase: 'stagingIn' });
    const stagedIn = await unlessLost(signals, () => transfers.stageIn(ref));
    timing.stageInSeconds = stagedIn.seconds;
    if (stagedIn.kind === 'failed') {
      report.stageInFailure = stagedIn;
      return;
    }
  }
  await runTasks(plan, ref, signals, report, tell);
  // Nothing is started after the tasks: ending the run ends what runs beside them, before its output is delivered.
  if (plan.sidecars) await unlessLost(signals, () => hosts.killRun(tasksOf(plan, ref)));
  if (plan.hasOutputs) {
    tell({ phase: 'stagingOut' });
    const stagedOut = await unlessLost(signals, () => transfers.stageOut(ref));
    timing.stageOutSeconds = stagedOut.seconds;
    report.stageOutFailures = stagedOut.failures;
  }
}

/** To be killed while the run goes on: its storage is still to take what was written. */
const tasksOf = (plan: JobPlan, ref: AttemptRef) => (plan.hasStorage ? { ...ref, keepStorage: true as const } : ref);

async function runTasks(
  plan: JobPlan,
  ref: AttemptRef,
  signals: RunSignals,
  report: RunReport,
  tell: (view: Partial<JobView>) => void,
): Promise<void> {
  const { sidecars = [] } = plan;
  if (!(await startSidecars(plan, ref, signals, report, tell))) return;
  let walltimeLeft = plan.walltimeSeconds;
  for (let taskIndex = 0; taskIndex < plan.taskCount; taskIndex += 1) {
    if (sidecars.includes(taskIndex)) continue;
    const task: TaskExecution = {};
    report.tasks.push(task);
    for (let retry = 0; ; retry += 1) {
      const which = { taskIndex, retry, walltimeSeconds: walltimeLeft };
      const started = await launch(ref, which, task, signals, tell);
      const result = started.kind === 'started' ? await finished(plan, ref, which, signals) : started;
      if (result.kind === 'pullFailed') {
        report.imagePullFailure = { detail: result.detail };
        break;
      }
      if (retry > 0) task.retries = retry;
      else task.retries = 0;
      recordResult(task, result.result);
      walltimeLeft -= result.result.endedAt - result.result.startedAt;
      const { cause, mostProcesses } = result.result;
      if (cause === 'walltime' || cause === 'memory' || cause === 'processes') report.limit = cause;
      else if (overLimit(sidecars, signals, 'memory')) {
        report.limit = 'memory';
        task.error = 'MemoryLimitExceeded';
      } else if (overLimit(sidecars, signals, 'processes')) {
        report.limit = 'processes';
        task.error = 'ProcessLimitExceeded';
      }
      if (cause === 'processes' && mostProcesses !== undefined) report.mostProcesses = mostProcesses;
      if (report.limit) return;
      if (result.result.exitCode === 0 || retry >= plan.policies.maximumTaskRetries || walltimeLeft < 1) break;
    }
    const failed = task.exitCode !== 0;
    if (failed && !plan.policies.ignoreTaskFailures) return;
  }
}

/** Returns whether the tasks can be started. A sidecar that ends early is left alone. */
async function startSidecars(
  plan: JobPlan,
  ref: AttemptRef,
  signals: RunSignals,
  report: RunReport,
  tell: (view: Partial<JobView>) => void,
): Promise<boolean> {
  for (const taskIndex of plan.sidecars ?? []) {
    const which = { taskIndex, retry: 0, walltimeSeconds: plan.walltimeSeconds + sidecarSeconds };
    const started = await launch(ref, which, {}, signals, tell);
    if (started.kind === 'pullFailed') {
      report.imagePullFailure = { detail: started.detail };
      return false;
    }
  }
  return true;
}

/** Memory and processes are the job's, whoever of those that run at one time took them. */
function overLimit(sidecars: number[], signals: RunSignals, limit: 'memory' | 'processes'): boolean {
  return sidecars.some((index) => signals.finished.get(launchNumberOf(index, 0))?.cause === limit);
}

type LaunchEnd = { kind: 'finished'; result: TaskResult } | { kind: 'pullFailed'; detail: string };
type Launched = { kind: 'started' } | LaunchEnd;

async function launch(
  ref: AttemptRef,
  which: { taskIndex: number; retry: number; walltimeSeconds: number },
  task: TaskExecution,
  signals: RunSignals,
  tell: (view: Partial<JobView>) => void,
): Promise<Launched> {
  for (let pulls = 0; ; pulls += 1) {
    const isPulled = pulls > 0 ? { isPulled: true as const } : {};
    const answer = await unlessLost(signals, () => hosts.startTask({ ...ref, ...which, ...isPulled }));
    switch (answer.kind) {
      case 'imageMissing': {
        if (pulls === mostPulls) {
          task.imagePullStatus = 'failed';
          return { kind: 'pullFailed', detail: `the image was gone again each time it had been pulled` };
        }
        tell({ phase: 'pulling' });
        const pulled = await unlessLost(signals, () => transfers.pullImage({ ...ref, taskIndex: which.taskIndex }));
        keepPull(task, pulled);
        if (pulled.kind === 'failed') return { kind: 'pullFailed', detail: pulled.detail };
        continue;
      }
      case 'started': {
        tell({ phase: 'running', taskIndex: which.taskIndex });
        task.imagePullStatus ??= 'cached';
        return { kind: 'started' };
      }
      case 'finished':
        tell({ phase: 'running', taskIndex: which.taskIndex });
        return { kind: 'finished', result: answer.result };
      case 'deleted':
        throw new DeletionRequested();
      // A later attempt or a deletion owns the job now; its own path brings this workflow to its end.
      case 'killed':
      case 'stale':
        throw ended(ref, `task ${which.taskIndex} started`);
    }
  }
}

const ended = ({ attempt }: AttemptRef, what: string): Lost =>
  new Lost({ attempt, cause: 'taskLost', detail: `the run was ended before ${what}` });

async function finished(
  plan: JobPlan,
  ref: AttemptRef,
  { taskIndex, retry, walltimeSeconds }: { taskIndex: number; retry: number; walltimeSeconds: number },
  signals: RunSignals,
): Promise<LaunchEnd> {
  const { sidecars = [] } = plan;
  const index = launchNumberOf(taskIndex, retry);
  const isOver = () => signals.finished.has(index) || signals.lost !== undefined;
  const isOverOrMust = () =>
    isOver() || overLimit(sidecars, signals, 'memory') || overLimit(sidecars, signals, 'processes');
  await condition(isOverOrMust, (walltimeSeconds + backstopSeconds) * 1000);
  if (!isOver()) {
    await unlessLost(signals, () => hosts.killRun(tasksOf(plan, ref)));
    if (!(await condition(isOver, backstopSeconds * 1000))) {
      throw new Lost({
        attempt: ref.attempt,
        cause: 'taskLost',
        detail: 'the machine gave no result after the walltime',
      });
    }
  }
  // A result that arrived counts even if the machine was lost right after.
  const result = signals.finished.get(index);
  if (result) return { kind: 'finished', result };
  throw new Lost(signals.lost!);
}

function recordResult(task: TaskExecution, result: TaskResult): void {
  task.exitCode = result.exitCode;
  task.wallTimeUsage = round(result.endedAt - result.startedAt);
  task.cpuTimeUsage = round(result.cpuSeconds);
  task.maxResidentSetSizeKB = result.maxResidentSetSizeKb;
  if (result.cause === 'walltime') task.error = 'WallTimeLimitExceeded';
  if (result.cause === 'memory') task.error = 'MemoryLimitExceeded';
  if (result.cause === 'processes') task.error = 'ProcessLimitExceeded';
}

function keepPull(task: TaskExecution, pulled: PullAnswer): void {
  if (pulled.kind === 'failed') task.imagePullStatus = 'failed';
  else Object.assign(task, pulled.image);
}

const round = (seconds: number): number => Math.round(seconds * 1000) / 1000;

class Lost extends Error {
  readonly lost: RunLost;
  constructor(lost: RunLost) {
    super(lost.detail);
    this.lost = lost;
  }
}

/** Thrown out of an attempt: the job is to be deleted, as by a cancellation. */
export class DeletionRequested extends Error {}

/** Work on a machine goes on until it answers, or until somebody says that the machine or the run is gone. */
async function unlessLost<T>(signals: RunSignals, work: () => Promise<T>): Promise<T> {
  if (signals.lost) throw new Lost(signals.lost);
  const scope = new CancellationScope();
  const working = scope.run(work);
  // Also the watch for signals must end with the work, or it would keep a condition alive in every job.
  const watch = new CancellationScope();
  const watching = watch
    .run(() => condition(() => signals.lost !== undefined))
    .then(
      () => 'lost' as const,
      () => 'over' as const,
    );
  try {
    const first = await Promise.race([working.then((value) => ({ value })), watching]);
    if (first === 'lost') throw new Lost(signals.lost!);
    if (first === 'over') return await working;
    return first.value;
  } finally {
    watch.cancel();
    if (signals.lost) {
      scope.cancel();
      working.catch(() => undefined);
    }
  }
}
