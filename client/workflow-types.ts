/** The wire's shapes of workflows. */
import type { JobDocument, JobStatus } from './types.ts';

export interface WorkflowDocument {
  name?: string;
  labels?: Record<string, string>;
  /** Each with a name of its own. */
  jobs: (JobDocument & { name: string })[];
  /** From the name of each parent to those of its children. */
  dependencies?: Record<string, string[]>;
  factories?: FactoryDocument[];
  policies?: Record<string, unknown>;
  notifications?: Record<string, unknown>[];
}

export type FactoryDocument = { name: string; jobs: string[] } & (
  | {
      type: 'parameterSweep';
      parameters: { name: string; start: number; end: number; step?: number; number?: number }[];
    }
  | { type: 'zip'; parameters: { name: string; values: (string | number)[] }[] }
  | { type: 'repeat'; number: number }
);

export interface WorkflowSummary {
  id: number;
  name: string;
  status: Exclude<JobStatus, 'killed'>;
  statusReason?: string;
  /** Seconds since the epoch. */
  events: { createTime: number; startTime?: number; endTime?: number };
  progress: WorkflowProgress;
}

/** Jobs; the parts add up to `total`. */
export interface WorkflowProgress {
  total: number;
  done: number;
  failed: number;
  queued: number;
  waiting: number;
  /** Of a deleted workflow; then nothing waits. */
  deleted?: number;
}

export type WorkflowDetail = WorkflowSummary &
  WorkflowDocument & { name: string; statusDetail?: string; rerunOf?: number };

/** Of one entry of the document; what is skipped or left out does not count as waiting here. */
export interface StepProgress extends WorkflowProgress {
  skipped: number;
  /** Not selected for this rerun. */
  leftOut: number;
}

export interface WorkflowGraph {
  id: number;
  name: string;
  status: WorkflowSummary['status'];
  nodes: { name: string; count: number; firstJobId: number; progress: StepProgress }[];
  /** By the names of steps. */
  edges: { parent: string; child: string }[];
}

/** What a workflow would be made of. */
export interface WorkflowPlan {
  name: string;
  total: number;
  /** Names of steps; each level waits for those before. */
  levels: string[][];
  nodes: {
    name: string;
    count: number;
    level: number;
    parents: string[];
    /** The first ones of a factory. */
    instances?: {
      instance: number;
      name: string;
      parameters: Record<string, string | number>;
      commands: (string | null)[];
    }[];
  }[];
}

/** Jobs of a workflow; what is given narrows, nothing given means all. */
export interface JobSelection {
  /** Names in the document. */
  jobs?: string | string[];
  /** They and everything that depends on them. */
  from?: string | string[];
  /** Of a factory, by number: `0-99,150`. */
  instances?: string | number;
  /** Here a job that ended with another exit code than 0 has `failed`; one not run because of that is `skipped`. */
  status?: JobState | JobState[];
}

type JobState = 'pending' | 'running' | 'completed' | 'failed' | 'skipped' | 'deleted' | 'killed';
