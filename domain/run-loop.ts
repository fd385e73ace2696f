/**
 * One attempt of a job on its machine, decided and not done: mount its storage, stage in, start the sidecars, run the
 * tasks in order, stage out, unmount (docs/wire.md 7.1). Each request is answered by who carries it out; nothing here waits,
 * asks for the time, or knows of Temporal. Sidecars are launches that nobody waits for: they start first, and killing the
 * run when the tasks are over ends them.
 */
import type { TaskExecution, TaskResult } from './execution.ts';
import type {
  JobPlan,
  LaunchAnswer,
  MountAnswer,
  PullAnswer,
  StageInAnswer,
  StageOutAnswer,
  UnmountAnswer,
} from './job-messages.ts';
import type { RunReport } from './job-outcome.ts';
import { launchNumberOf } from './launch.ts';

/** What is filled while the attempt goes on, and holds so far when it is cut short. Times in seconds. */
export interface RunProgress {
  report: RunReport;
  timing: { stageInSeconds?: number; stageOutSeconds?: number };
}

export const newProgress = (): RunProgress => ({ report: { tasks: [], stageOutFailures: [] }, timing: {} });

interface Launch {
  taskIndex: number;
  retry: number;
  /** How long it may run. */
  walltimeSeconds: number;
}

/** What each request says, and what it is answered with. A run or machine that is lost is no answer: it ends the loop. */
interface Exchanges {
  mount: [object, Extract<MountAnswer, { kind: 'mounted' | 'failed' }>];
  stageIn: [object, StageInAnswer];
  startTask: [Launch & { isPulled?: true }, Extract<LaunchAnswer, { kind: 'started' | 'finished' | 'imageMissing' }>];
  pullImage: [{ taskIndex: number }, PullAnswer];
  /** Until a launch that was started has ended; sooner where a sidecar ended for a limit, which the tasks share. */
  awaitEnd: [Launch, TaskResult];
  /** The results of sidecars that have ended by now. */
  lookAtSidecars: [object, TaskResult[]];
  /** All that runs; the mount stays. */
  killTasks: [object, void];
  stageOut: [object, StageOutAnswer];
  unmount: [object, UnmountAnswer];
}

export type RunRequest = { [Kind in keyof Exchanges]: { kind: Kind } & Exchanges[Kind][0] }[keyof Exchanges];
export type AnswerTo<Kind extends keyof Exchanges> = Exchanges[Kind][1];
type Loop<T> = Generator<RunRequest, T, unknown>;

type PlanOfRun = Pick<
  JobPlan,
  'taskCount' | 'sidecars' | 'hasStorage' | 'hasArtifacts' | 'hasOutputs' | 'walltimeSeconds' | 'policies'
>;

/** An image that others push out of the cache before it is used is pulled again, but not for ever. */
const mostPulls = 5;
/** How much longer than the walltime a sidecar may live: images of the tasks beside it have to be pulled meanwhile. */
const sidecarSeconds = 24 * 3600;

export function* runLoop(plan: PlanOfRun, { report, timing }: RunProgress): Loop<void> {
  if (plan.hasStorage) {
    const mounted = yield* ask({ kind: 'mount' });
    if (mounted.kind === 'failed') {
      report.mountFailure = mounted;
      return;
    }
  }
  yield* work(plan, { report, timing });
  if (plan.hasStorage) {
    const unmounted = yield* ask({ kind: 'unmount' });
    if (unmounted.kind === 'failed') report.stageOutFailures.push({ cause: 'upload', detail: unmounted.detail });
  }
}

/** What is between the mount and the unmount. */
function* work(plan: PlanOfRun, { report, timing }: RunProgress): Loop<void> {
  if (plan.hasArtifacts) {
    const stagedIn = yield* ask({ kind: 'stageIn' });
    timing.stageInSeconds = stagedIn.seconds;
    if (stagedIn.kind === 'failed') {
      report.stageInFailure = stagedIn;
      return;
    }
  }
  if (yield* startSidecars(plan, report)) yield* runTasks(plan, report);
  // Nothing is started after the tasks: ending the run ends what runs beside them, before its output is delivered.
  if (plan.sidecars) yield* ask({ kind: 'killTasks' });
  if (plan.hasOutputs) {
    const stagedOut = yield* ask({ kind: 'stageOut' });
    timing.stageOutSeconds = stagedOut.seconds;
    report.stageOutFailures = stagedOut.failures;
  }
}

/** Returns whether the tasks can be started. A sidecar that ends early is left alone. */
function* startSidecars(plan: PlanOfRun, report: RunReport): Loop<boolean> {
  for (const taskIndex of plan.sidecars ?? []) {
    const launch = { taskIndex, retry: 0, walltimeSeconds: plan.walltimeSeconds + sidecarSeconds };
    const started = yield* start(launch, {});
    if (started.kind === 'pullFailed') {
      report.imagePullFailure = { detail: started.detail };
      return false;
    }
  }
  return true;
}

/** In order; the walltime is that of all together. */
function* runTasks(plan: PlanOfRun, report: RunReport): Loop<void> {
  let walltimeSeconds = plan.walltimeSeconds;
  for (let taskIndex = 0; taskIndex < plan.taskCount; taskIndex += 1) {
    if (plan.sidecars?.includes(taskIndex)) continue;
    const task: TaskExecution = {};
    report.tasks.push(task);
    for (let retry = 0; ; retry += 1) {
      const launch = { taskIndex, retry, walltimeSeconds };
      const started = yield* start(launch, task);
      if (started.kind === 'pullFailed') {
        report.imagePullFailure = { detail: started.detail };
        break;
      }
      const result = started.kind === 'finished' ? started.result : yield* ask({ kind: 'awaitEnd', ...launch });
      task.retries = retry;
      recordResult(task, result);
      walltimeSeconds -= result.endedAt - result.startedAt;
      yield* recordLimits(plan, report, task, result);
      if (report.limit) return;
      if (result.exitCode === 0 || retry >= plan.policies.maximumTaskRetries || walltimeSeconds < 1) break;
    }
    if (task.exitCode !== 0 && !plan.policies.ignoreTaskFailures) return;
  }
}

type Started = { kind: 'started' } | { kind: 'finished'; result: TaskResult } | { kind: 'pullFailed'; detail: string };

/** With its image, which is pulled when the machine turns out not to have it. */
function* start(launch: Launch, task: TaskExecution): Loop<Started> {
  for (let pulls = 0; ; pulls += 1) {
    const answer = yield* ask({ kind: 'startTask', ...launch, ...(pulls > 0 ? { isPulled: true } : {}) });
    if (answer.kind === 'finished') return answer;
    if (answer.kind === 'started') {
      task.imagePullStatus ??= 'cached';
      return answer;
    }
    if (pulls === mostPulls) {
      task.imagePullStatus = 'failed';
      return { kind: 'pullFailed', detail: 'the image was gone again each time it had been pulled' };
    }
    const pulled = yield* ask({ kind: 'pullImage', taskIndex: launch.taskIndex });
    if (pulled.kind === 'failed') {
      task.imagePullStatus = 'failed';
      return { kind: 'pullFailed', detail: pulled.detail };
    }
    Object.assign(task, pulled.image);
  }
}

const errors = {
  walltime: 'WallTimeLimitExceeded',
  memory: 'MemoryLimitExceeded',
  processes: 'ProcessLimitExceeded',
} as const;

/** Memory and processes are the job's, whoever of those that run at one time took them. */
export const sharedLimit = (sidecars: TaskResult[]): 'memory' | 'processes' | undefined =>
  (['memory', 'processes'] as const).find((limit) => sidecars.some(({ cause }) => cause === limit));

function* recordLimits(
  plan: PlanOfRun,
  report: RunReport,
  task: TaskExecution,
  { cause, mostProcesses }: TaskResult,
): Loop<void> {
  if (cause === 'walltime' || cause === 'memory' || cause === 'processes') report.limit = cause;
  else if (plan.sidecars) {
    const limit = sharedLimit(yield* ask({ kind: 'lookAtSidecars' }));
    if (limit) {
      report.limit = limit;
      task.error = errors[limit];
    }
  }
  if (cause === 'processes' && mostProcesses !== undefined) report.mostProcesses = mostProcesses;
}

function recordResult(task: TaskExecution, result: TaskResult): void {
  task.exitCode = result.exitCode;
  task.wallTimeUsage = round(result.endedAt - result.startedAt);
  task.cpuTimeUsage = round(result.cpuSeconds);
  task.maxResidentSetSizeKB = result.maxResidentSetSizeKb;
  if (result.cause === 'walltime' || result.cause === 'memory' || result.cause === 'processes') {
    task.error = errors[result.cause];
  }
}

const round = (seconds: number): number => Math.round(seconds * 1000) / 1000;

/** The launches of the sidecars, which are never repeated. */
export const sidecarLaunches = ({ sidecars = [] }: Pick<JobPlan, 'sidecars'>): number[] =>
  sidecars.map((taskIndex) => launchNumberOf(taskIndex, 0));

function* ask<Kind extends RunRequest['kind']>(
  request: Extract<RunRequest, { kind: Kind }>,
): Generator<RunRequest, AnswerTo<Kind>, unknown> {
  return (yield request) as AnswerTo<Kind>;
}
