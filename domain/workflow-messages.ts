/** The words the workflows of a DAG and their activities exchange: ids and counts, never what the jobs are. */
import type { GrantedPlacement, JobPlan } from './job-messages.ts';
import type { TerminalStatus } from './status.ts';

export interface DagInput {
  workflowId: number;
}

export interface DagResult {
  workflowId: number;
  status: TerminalStatus;
}

export interface DagPlan {
  workflowId: number;
  owner: string;
  /** Every job has its row. */
  isExpanded: boolean;
  steps: DagPlanStep[];
}

/** Steps were called nodes once: workflows that were open then have recorded it so, and go on (`test/replay/`). */
export type RecordedPlan = DagPlan | (Omit<DagPlan, 'steps'> & { nodes: DagPlanStep[] });

export interface DagPlanStep {
  /** For people; may be shortened. */
  name: string;
  firstJobId: number;
  count: number;
  parents: number[];
  /** Nothing of it is to run: all its jobs have succeeded before, or are left out of a rerun. */
  isDone: boolean;
}

export type OpenedDag =
  | { kind: 'opened'; plan: RecordedPlan; isDeleted?: true }
  /** There is nothing to do: it has ended. */
  | { kind: 'closed'; result: DagResult };

/** Jobs `firstJobId` to `firstJobId + count - 1` of one step. */
export interface JobRange {
  workflowId: number;
  owner: string;
  name: string;
  firstJobId: number;
  count: number;
}

export interface RangeResult {
  failed: number;
}

/** A shard as it opens: every unfinished job asks for a place, or waits for the one it asked for before. */
export interface OpenedShard {
  waiting: number[];
  /** Jobs that ended already, other than well. */
  failed: number;
  /** Of any of its jobs but for the id; absent where none waits. */
  plan?: JobPlan;
}

/** Signal: jobs of a shard that have a place now, and jobs that ended without one. Repeats are ignored. */
export interface ShardSignal {
  placed?: (GrantedPlacement & { jobId: number })[];
  ended?: number[];
}

export const shardSignal = 'shardNews';

/** Jobs that are to end without running. */
export type JobsToClose =
  /** What depends on a failed step. */
  | { workflowId: number; which: 'skipped'; steps: number[] }
  | { workflowId: number; which: 'skipped'; nodes: number[] }
  /** The workflow is deleted: what no machine and no workflow of its own knows. */
  | { workflowId: number; which: 'neverStarted' }
  /** The workflow has come to its end: whatever is left. */
  | { workflowId: number; which: 'leftOver'; isDeleted: boolean };

export type DagEnd =
  | { kind: 'ended'; result: DagResult }
  /** Some jobs have no terminal state: they are to be closed first. */
  | { kind: 'leftOver' };
