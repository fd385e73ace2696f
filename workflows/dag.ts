/**
 * A user's workflow: releases steps in the order of their dependencies, waits for their jobs, and writes the end. A
 * failed step stops what depends on it and nothing else. Deleting it cancels everything under it.
 */
import { CancellationScope, condition, isCancellation, setCurrentDetails } from '@temporalio/workflow';
import { afterFinish, isOver, openDag, readySteps, type DagState, type StepOutcome } from '../domain/dag.ts';
import { groupLanes, groupSize, mostOpenChildren, mostOpenJobs, shardSize } from '../domain/workflow-sizes.ts';
import type {
  DagInput,
  DagPlan,
  DagPlanStep,
  DagResult,
  OpenedDag,
  RecordedPlan,
} from '../domain/workflow-messages.ts';
import { dagRows, dags } from './activities.ts';
import { inLanes, partsOf, runGroup, runJob, runShard } from './children.ts';

export async function dagWorkflow({ workflowId }: DagInput): Promise<DagResult> {
  const opened = await CancellationScope.nonCancellable(() => openExpanded(workflowId));
  if (opened.kind === 'closed') return opened.result;
  const run = new DagRun(opened.plan);
  // Its deletion may have come before its start did.
  if (opened.isDeleted) return CancellationScope.nonCancellable(() => endDeleted(workflowId, run));
  try {
    await run.run();
    return await CancellationScope.nonCancellable(() => end(workflowId, false));
  } catch (error) {
    if (!isCancellation(error)) throw error;
    return await CancellationScope.nonCancellable(() => endDeleted(workflowId, run));
  }
}

async function endDeleted(workflowId: number, run: DagRun): Promise<DagResult> {
  await dagRows.closeJobs({ workflowId, which: 'neverStarted' });
  // The cancellation has reached every open job; each kills what runs and writes its own end.
  await run.childrenEnded();
  return end(workflowId, true);
}

/** What a rerun keeps is known once every job has its row. */
async function openExpanded(workflowId: number): Promise<OpenedDag> {
  const opened = await dags.openDag({ workflowId });
  if (opened.kind === 'closed' || opened.plan.isExpanded) return opened;
  await dagRows.expandDag({ workflowId });
  return dags.openDag({ workflowId });
}

async function end(workflowId: number, isDeleted: boolean): Promise<DagResult> {
  for (;;) {
    const ended = await dags.endDag({ workflowId, isDeleted });
    if (ended.kind === 'ended') {
      setCurrentDetails(ended.result.status);
      return ended.result;
    }
    await dagRows.closeJobs({ workflowId, which: 'leftOver', isDeleted });
  }
}

class DagRun {
  private readonly plan: DagPlan;
  private readonly wasRecordedBefore: boolean;
  private readonly dag: DagState;
  /** Released, in order, and not begun: only so many jobs are open at once. */
  private readonly released: number[] = [];
  private readonly outcomes: { step: number; outcome: StepOutcome }[] = [];
  private openJobs = 0;
  private openChildren = 0;

  constructor(plan: RecordedPlan) {
    this.plan = 'nodes' in plan ? { ...plan, steps: plan.nodes } : plan;
    this.wasRecordedBefore = 'nodes' in plan;
    this.dag = openDag(this.plan.steps);
  }

  async run(): Promise<void> {
    await this.release(readySteps(this.dag));
    this.begin();
    while (!isOver(this.dag)) {
      await condition(() => this.outcomes.length > 0);
      const ready: number[] = [];
      const skipped: number[] = [];
      for (const { step, outcome } of this.outcomes.splice(0)) {
        const change = afterFinish(this.dag, step, outcome);
        ready.push(...change.ready);
        skipped.push(...change.skipped);
      }
      await this.release(ready);
      this.begin();
      if (skipped.length > 0)
        await dagRows.closeJobs({ workflowId: this.plan.workflowId, which: 'skipped', steps: skipped });
    }
  }

  childrenEnded(): Promise<void> {
    return condition(() => this.openChildren === 0);
  }

  /** Written first: users see a job queued before it can run. */
  private async release(steps: number[]): Promise<void> {
    if (steps.length === 0) return;
    const { workflowId } = this.plan;
    // A history has the name that the activity had.
    if (this.wasRecordedBefore) await dags.releaseNodes({ workflowId, nodes: steps });
    else await dags.releaseSteps({ workflowId, steps });
    this.released.push(...steps);
  }

  private begin(): void {
    for (let next = this.released[0]; next !== undefined; next = this.released[0]) {
      const { jobs, children } = weightOf(this.plan.steps[next]!);
      const fits = this.openJobs + jobs <= mostOpenJobs && this.openChildren + children <= mostOpenChildren;
      if (!fits && this.openChildren > 0) break;
      this.released.shift();
      this.openJobs += jobs;
      this.openChildren += children;
      void this.runStep(next).then((outcome) => {
        this.openJobs -= jobs;
        this.openChildren -= children;
        this.outcomes.push({ step: next, outcome });
      });
    }
    const open = this.dag.states.filter((state) => state === 'ready').length;
    setCurrentDetails(`${open} of ${this.dag.states.length} kinds of jobs run or wait for their turn`);
  }

  private async runStep(step: number): Promise<StepOutcome> {
    const { workflowId, owner, steps } = this.plan;
    const { name, firstJobId, count } = steps[step]!;
    const range = { workflowId, owner, name, firstJobId, count };
    if (count === 1) return (await runJob({ jobId: firstJobId, owner, summary: name })) ? 'done' : 'failed';
    const { failed } =
      count <= shardSize ? await runShard(range) : await inLanes(partsOf(range, groupSize), 1, runGroup);
    return failed === 0 ? 'done' : 'failed';
  }
}

/** What a step has open at most. */
function weightOf({ count }: DagPlanStep): { jobs: number; children: number } {
  return { jobs: Math.min(count, groupLanes * shardSize), children: 1 };
}
