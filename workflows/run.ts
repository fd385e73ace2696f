/**
 * Carries out what an attempt of a job asks of its machine (`domain/run-loop.ts`), and ends early only when the machine or
 * the run is lost. What the end means for the job is decided elsewhere.
 */
import { CancellationScope, condition } from '@temporalio/workflow';
import type { TaskResult } from '../domain/execution.ts';
import type { AttemptRef, JobPlan, JobView, RunLost } from '../domain/job-messages.ts';
import { launchNumberOf } from '../domain/launch.ts';
import {
  newProgress,
  runLoop,
  sharedLimit,
  sidecarLaunches,
  type AnswerTo,
  type RunProgress,
  type RunRequest,
} from '../domain/run-loop.ts';
import { hosts, transfers } from './activities.ts';

/** What the outside told about this attempt so far; filled by signal handlers. */
export interface RunSignals {
  finished: Map<number, TaskResult>;
  lost?: RunLost;
}

export type RunEnd = ({ kind: 'lost'; lost: RunLost } | { kind: 'ended' }) & RunProgress;

/** The machine enforces the walltime; a machine that forgot is asked to kill the run this much later. */
const backstopSeconds = 300;

export async function runAttempt(
  plan: JobPlan,
  ref: AttemptRef,
  signals: RunSignals,
  tell: (view: Partial<JobView>) => void,
): Promise<RunEnd> {
  const progress = newProgress();
  const loop = runLoop(plan, progress);
  const attempt = new Attempt(plan, ref, signals, tell);
  try {
    for (let next = loop.next(); !next.done; next = loop.next(await attempt.perform(next.value)));
    return { kind: 'ended', ...progress };
  } catch (error) {
    if (error instanceof Lost) return { kind: 'lost', lost: error.lost, ...progress };
    throw error;
  }
}

class Attempt {
  private readonly plan: JobPlan;
  private readonly ref: AttemptRef;
  private readonly signals: RunSignals;
  private readonly tell: (view: Partial<JobView>) => void;

  constructor(plan: JobPlan, ref: AttemptRef, signals: RunSignals, tell: (view: Partial<JobView>) => void) {
    this.plan = plan;
    this.ref = ref;
    this.signals = signals;
    this.tell = tell;
  }

  async perform(request: RunRequest): Promise<AnswerTo<RunRequest['kind']>> {
    const { ref, signals } = this;
    switch (request.kind) {
      case 'mount':
        this.tell({ phase: 'mounting' });
        return this.mount();
      case 'stageIn':
        this.tell({ phase: 'stagingIn' });
        return unlessLost(signals, () => transfers.stageIn(ref));
      case 'startTask':
        return this.startTask(request);
      case 'pullImage':
        this.tell({ phase: 'pulling' });
        return unlessLost(signals, () => transfers.pullImage({ ...ref, taskIndex: request.taskIndex }));
      case 'awaitEnd':
        return this.ended(request);
      case 'lookAtSidecars':
        return this.endedSidecars();
      case 'killTasks':
        return unlessLost(signals, () => hosts.killRun(this.tasks()));
      case 'stageOut':
        this.tell({ phase: 'stagingOut' });
        return unlessLost(signals, () => transfers.stageOut(ref));
      case 'unmount':
        this.tell({ phase: 'unmounting' });
        return unlessLost(signals, () => transfers.unmountStorage(ref));
    }
  }

  private async mount(): Promise<AnswerTo<'mount'>> {
    const mounted = await unlessLost(this.signals, () => transfers.mountStorage(this.ref));
    if (mounted.kind === 'killed') throw this.endedBefore('its storage was mounted');
    return mounted;
  }

  private async startTask({
    kind: _,
    ...launch
  }: Extract<RunRequest, { kind: 'startTask' }>): Promise<AnswerTo<'startTask'>> {
    const answer = await unlessLost(this.signals, () => hosts.startTask({ ...this.ref, ...launch }));
    switch (answer.kind) {
      case 'deleted':
        throw new DeletionRequested();
      // A later attempt or a deletion owns the job now; its own path brings this workflow to its end.
      case 'killed':
      case 'stale':
        throw this.endedBefore(`task ${launch.taskIndex} started`);
      case 'started':
      case 'finished':
        this.tell({ phase: 'running', taskIndex: launch.taskIndex });
        return answer;
      case 'imageMissing':
        return answer;
    }
  }

  private async ended(launch: Extract<RunRequest, { kind: 'awaitEnd' }>): Promise<TaskResult> {
    const { signals } = this;
    const number = launchNumberOf(launch.taskIndex, launch.retry);
    const isOver = () => signals.finished.has(number) || signals.lost !== undefined;
    const isOverOrMust = () => isOver() || sharedLimit(this.endedSidecars()) !== undefined;
    await condition(isOverOrMust, (launch.walltimeSeconds + backstopSeconds) * 1000);
    if (!isOver()) {
      await unlessLost(signals, () => hosts.killRun(this.tasks()));
      if (!(await condition(isOver, backstopSeconds * 1000))) {
        throw this.lost('the machine gave no result after the walltime');
      }
    }
    // A result that arrived counts even if the machine was lost right after.
    const result = signals.finished.get(number);
    if (result) return result;
    throw new Lost(signals.lost!);
  }

  private endedSidecars(): TaskResult[] {
    return sidecarLaunches(this.plan).flatMap((launch) => this.signals.finished.get(launch) ?? []);
  }

  /** To be killed while the run goes on: its storage is still to take what was written. */
  private tasks(): AttemptRef & { keepStorage?: true } {
    return this.plan.hasStorage ? { ...this.ref, keepStorage: true } : this.ref;
  }

  private endedBefore(what: string): Lost {
    return this.lost(`the run was ended before ${what}`);
  }

  private lost(detail: string): Lost {
    return new Lost({ attempt: this.ref.attempt, cause: 'taskLost', detail });
  }
}

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
