/**
 * A job from its opening to its one terminal state. Temporal sees ids and small facts; the records activities write
 * what users see. Nothing here kills a user's process by being cancelled itself: killing is a command to the machine.
 */
import {
  ActivityFailure,
  CancellationScope,
  condition,
  defineQuery,
  defineSignal,
  isCancellation,
  patched,
  rootCause,
  setCurrentDetails,
  setHandler,
} from '@temporalio/workflow';
import { exitCodes, hasSucceeded, jobOutcome } from '../domain/job-outcome.ts';
import {
  jobQuery,
  jobSignals,
  type GrantedPlacement,
  type JobEnding,
  type JobInput,
  type JobPlan,
  type JobResult,
  type JobView,
  type LeftQueue,
  type OpenedJob,
  type PlacementAnswer,
  type PlacementRefusal,
  type RunLost,
  type TaskFinished,
} from '../domain/job-messages.ts';
import { launchesPerTask, launchNumberOf } from '../domain/launch.ts';
import { reasons } from '../domain/reasons.ts';
import { hosts, records, transfers } from './activities.ts';
import { DeletionRequested, runAttempt, type RunSignals } from './run.ts';

export const placedSignal = defineSignal<[GrantedPlacement]>(jobSignals.placed);
export const leftQueueSignal = defineSignal<[LeftQueue]>(jobSignals.leftQueue);
export const taskFinishedSignal = defineSignal<[TaskFinished]>(jobSignals.taskFinished);
export const runLostSignal = defineSignal<[RunLost]>(jobSignals.runLost);
export const describeQuery = defineQuery<JobView>(jobQuery);

/** How long a deletion waits for the outputs that are there. */
const deliverySeconds = 60;

export async function jobWorkflow(input: JobInput): Promise<JobResult> {
  const job = new JobRun();
  setHandler(placedSignal, (placement) => job.onPlaced(placement));
  setHandler(leftQueueSignal, (left) => job.onLeftQueue(left));
  setHandler(taskFinishedSignal, (message) => job.onTaskFinished(message));
  setHandler(runLostSignal, (lost) => job.onLost(lost));
  setHandler(describeQuery, () => job.view);

  // A deletion that arrives during the opening waits for it: only then is there a job to close.
  const opened = await CancellationScope.nonCancellable(() => open(input));
  if (opened.kind === 'closed') return job.close(opened.result);
  try {
    return await job.run(opened.plan, opened.attempt, opened.answer);
  } catch (error) {
    if (isCancellation(error) || error instanceof DeletionRequested) {
      return await CancellationScope.nonCancellable(() => job.delete(opened.plan));
    }
    // An activity that gave up for good: the job says so. Anything else is a bug of ours, and is to stay visible.
    if (!(error instanceof ActivityFailure)) throw error;
    return await CancellationScope.nonCancellable(() => job.fail(opened.plan, rootCause(error) ?? error.message));
  }
}

/** A shard hands over what it knows: then there is nothing to ask. */
async function open(input: JobInput): Promise<OpenedJob> {
  if (!('handed' in input) || !input.handed) return records.openJob(input);
  const { plan, placement } = input.handed;
  return { kind: 'opened', plan, attempt: placement.attempt, answer: { kind: 'placed', placement } };
}

class JobRun {
  view: JobView = { phase: 'opening', attempt: 0 };
  private attempt = 0;
  private machineLosses = 0;
  private retries = 0;
  private placement: GrantedPlacement | undefined;
  private readonly placements = new Map<number, GrantedPlacement>();
  private readonly refusals = new Map<number, LeftQueue>();
  private readonly signals = new Map<number, RunSignals>();

  onPlaced(placement: GrantedPlacement): void {
    this.placements.set(placement.attempt, placement);
  }

  onLeftQueue(left: LeftQueue): void {
    this.refusals.set(left.attempt, left);
  }

  onTaskFinished({ attempt, launch, result }: TaskFinished): void {
    const { finished } = this.signalsOf(attempt);
    if (!finished.has(launch)) finished.set(launch, result);
  }

  onLost(lost: RunLost): void {
    this.signalsOf(lost.attempt).lost ??= lost;
  }

  async run(plan: JobPlan, firstAttempt: number, firstAnswer: PlacementAnswer): Promise<JobResult> {
    this.attempt = firstAttempt;
    let answer = firstAnswer;
    for (;;) {
      const placed = await this.placed(plan, answer);
      if (placed.kind === 'never') return this.finish(plan, { status: 'failed', ...placed });
      this.placement = placed.placement;
      this.tell({ attempt: this.attempt, site: placed.placement.site, machine: placed.placement.machine });

      const end = await runAttempt(
        plan,
        { jobId: plan.jobId, attempt: this.attempt },
        this.signalsOf(this.attempt),
        (view) => this.tell(view),
      );
      if (end.kind === 'lost') {
        this.machineLosses += 1;
        if (this.machineLosses > plan.maximumMachineLosses) {
          const ending = { status: 'failed', statusReason: reasons.evicted, statusDetail: end.lost.detail } as const;
          return this.finish(plan, ending, end.report.tasks);
        }
        answer = await this.again(plan, end.lost.cause, end.lost.detail);
        continue;
      }
      const outcome = jobOutcome(end.report, { ...defaults, ...plan.policies });
      if (outcome.isRetryable && this.retries < plan.policies.maximumRetries) {
        this.retries += 1;
        answer = await this.again(
          plan,
          'retry',
          outcome.statusReason ?? `exit codes ${exitCodes(end.report.tasks).join(', ')}`,
        );
        continue;
      }
      const { isRetryable: _, ...ending } = outcome;
      return this.finish(plan, { ...ending, ...end.timing }, end.report.tasks);
    }
  }

  /** The user's deletion (or an operator's cancellation): nothing of the job may be left running. */
  async delete(plan: JobPlan): Promise<JobResult> {
    const isDelivering = plan.hasOutputs && this.hasStarted() && patched('deliver-at-deletion');
    await this.endRun(plan, isDelivering && plan.hasStorage ? 'keepMount' : 'endMount');
    if (isDelivering) await this.deliverWhatIsThere(plan);
    const isSidecar = (launch: number) => plan.sidecars?.includes(Math.floor(launch / launchesPerTask));
    const finished = [...this.signalsOf(this.attempt).finished]
      .filter(([launch]) => !isSidecar(launch))
      .sort(([a], [b]) => a - b);
    const tasks = finished.map(([, result]) => ({ exitCode: result.exitCode }));
    return this.finish(plan, { status: 'deleted', statusReason: reasons.deletedByUser }, tasks);
  }

  /** A step that could not be done however often it was tried. */
  async fail(plan: JobPlan, statusDetail: string): Promise<JobResult> {
    await this.endRun(plan);
    return this.finish(plan, { status: 'failed', statusReason: reasons.taskExecutionFailed, statusDetail });
  }

  /** A task of this attempt ran, and its outputs were not all delivered. */
  private hasStarted(): boolean {
    const { phase } = this.view;
    return this.placement !== undefined && phase !== 'unmounting' && (phase === 'running' || this.hasSignals());
  }

  private hasSignals(): boolean {
    return this.signalsOf(this.attempt).finished.size > 0;
  }

  /** What the job made until now, for a user who may still want it: for as long as it may take to be deleted. */
  private async deliverWhatIsThere(plan: JobPlan): Promise<void> {
    const ref = { jobId: plan.jobId, attempt: this.attempt };
    const signals = this.signalsOf(this.attempt);
    if (signals.lost) return;
    const delivering = CancellationScope.withTimeout(deliverySeconds * 1000, () => transfers.stageOut(ref));
    // Its failures are the job's no more. A lost machine is not waited for.
    await Promise.race([delivering.catch(() => undefined), condition(() => signals.lost !== undefined)]);
    if (plan.hasStorage && !signals.lost) await this.endRun(plan);
  }

  private async endRun(plan: JobPlan, mount: 'keepMount' | 'endMount' = 'endMount'): Promise<void> {
    if (!this.placement) return;
    const signals = this.signalsOf(this.attempt);
    const isLost = () => signals.lost !== undefined;
    const keeping = mount === 'keepMount' ? { keepStorage: true as const } : {};
    const killing = hosts.killRun({ jobId: plan.jobId, attempt: this.attempt, ...keeping }).catch(() => undefined);
    // A machine out of reach can't be told; it is cleaned when it comes back, and nothing is published from it.
    await Promise.race([killing, condition(isLost)]);
    const running = this.view.taskIndex;
    if (running === undefined || isLost()) return;
    // The follower hands over the last output before it reports the end.
    const launches = Array.from({ length: launchesPerTask }, (_, retry) => launchNumberOf(running, retry));
    await condition(() => launches.some((index) => signals.finished.has(index)) || isLost(), '15 seconds');
  }

  close(result: JobResult): JobResult {
    this.tell({ jobId: result.jobId, phase: 'finished', result });
    return result;
  }

  private async placed(
    plan: JobPlan,
    answer: PlacementAnswer,
  ): Promise<
    { kind: 'placed'; placement: GrantedPlacement } | { kind: 'never'; statusReason: string; statusDetail?: string }
  > {
    if (answer.kind === 'placed') return answer;
    if (answer.kind === 'refused') return refused(answer);
    this.tell({ phase: 'queued', attempt: this.attempt });
    const isDecided = () => this.placements.has(this.attempt) || this.refusals.has(this.attempt);
    if (plan.queueSeconds === undefined) await condition(isDecided);
    else if (!(await condition(isDecided, plan.queueSeconds * 1000))) {
      return { kind: 'never', statusReason: reasons.queuedTooLong };
    }
    const placement = this.placements.get(this.attempt);
    return placement ? { kind: 'placed', placement } : refused(this.refusals.get(this.attempt)!);
  }

  private async again(
    plan: JobPlan,
    cause: 'machineLost' | 'taskLost' | 'retry',
    detail: string,
  ): Promise<PlacementAnswer> {
    const ended = { jobId: plan.jobId, attempt: this.attempt };
    this.placement = undefined;
    this.attempt += 1;
    return records.nextAttempt({ ...ended, cause, detail, retries: this.retries });
  }

  private async finish(
    plan: JobPlan,
    how: Pick<JobEnding, 'status' | 'statusReason' | 'statusDetail' | 'stageInSeconds' | 'stageOutSeconds'>,
    tasks: JobEnding['tasks'] = [],
  ): Promise<JobResult> {
    const succeeded = hasSucceeded(how.status, tasks, plan.policies);
    const ending: JobEnding = {
      jobId: plan.jobId,
      attempt: this.attempt,
      tasks,
      retries: this.retries,
      succeeded,
      ...this.endSeen(plan),
      ...how,
    };
    // What the row says wins: a deletion that was first stays a deletion.
    const result = await CancellationScope.nonCancellable(() => records.finishJob(ending));
    return this.close(result);
  }

  /** A job without outputs is over when its last task is; with outputs, when they are delivered. */
  private endSeen(plan: JobPlan): { endedAt?: number } {
    const ends = [...this.signalsOf(this.attempt).finished.values()].map(({ endedAt }) => endedAt);
    return plan.hasOutputs || ends.length === 0 ? {} : { endedAt: Math.max(...ends) };
  }

  private signalsOf(attempt: number): RunSignals {
    let signals = this.signals.get(attempt);
    if (!signals) this.signals.set(attempt, (signals = { finished: new Map() }));
    return signals;
  }

  private tell(view: Partial<JobView>): void {
    this.view = { ...this.view, ...view };
    const { phase, site, machine } = this.view;
    setCurrentDetails(site ? `${phase} on ${site}/${machine ?? '?'}` : phase);
  }
}

const refused = ({ statusReason = reasons.noMatchingResources, detail }: PlacementRefusal) =>
  ({ kind: 'never', statusReason, statusDetail: detail }) as const;

const defaults = {
  maximumTimeInQueueMinutes: 0,
  maximumIdleTimePerResourceMinutes: 0,
  leaveInQueue: false,
  runSerialTasksOnAllNodes: false,
  priority: 0,
};
