/**
 * The words the job workflow and everything around it exchange. They travel through Temporal, so they carry ids and
 * small facts only: never a description, a URL or a credential.
 */
import type { JobPolicies } from './description.ts';
import type { TaskExecution, TaskResult } from './execution.ts';
import type { TerminalStatus } from './status.ts';

/** Started by our API, by a shard once the job has its place, or by any Temporal client that brings the description itself. */
export type JobInput =
  | { jobId: number; handed?: HandedJob }
  | { description: Record<string, unknown>; owner: string; groups?: string[]; email?: string };

/** What a shard knows of a job already. */
export interface HandedJob {
  plan: JobPlan;
  placement: GrantedPlacement;
}

export interface JobResult {
  jobId: number;
  status: TerminalStatus;
  statusReason?: string;
  exitCodes: number[];
  /** Whether what depends on it may run. */
  succeeded: boolean;
}

/** What the workflow needs to know of a job to run it. */
export interface JobPlan {
  jobId: number;
  taskCount: number;
  /** Indices of tasks that run beside the others; absent: none. */
  sidecars?: number[];
  /** A user's own storage is to be mounted; absent: none. */
  hasStorage?: true;
  hasArtifacts: boolean;
  hasOutputs: boolean;
  walltimeSeconds: number;
  /** Seconds; undefined waits for ever. */
  queueSeconds?: number;
  maximumMachineLosses: number;
  policies: Pick<
    JobPolicies,
    'maximumRetries' | 'maximumTaskRetries' | 'ignoreTaskFailures' | 'reportJobSuccessOnTaskFailure'
  >;
}

export interface GrantedPlacement {
  attempt: number;
  machineId: number;
  site: string;
  machine: string;
}

export type PlacementAnswer =
  | { kind: 'placed'; placement: GrantedPlacement }
  | { kind: 'queued' }
  /** Its queue policy does not allow waiting. */
  | ({ kind: 'refused' } & PlacementRefusal);

export interface PlacementRefusal {
  /** Absent in histories of before there were several: no matching resources. */
  statusReason?: string;
  detail: string;
}

export type OpenedJob =
  | { kind: 'opened'; plan: JobPlan; attempt: number; answer: PlacementAnswer }
  /** There is nothing to do: it was deleted before it started, or it is finished already. */
  | { kind: 'closed'; result: JobResult };

export interface AttemptRef {
  jobId: number;
  attempt: number;
}

export interface LaunchRef extends AttemptRef {
  taskIndex: number;
  retry: number;
  /** What is left of the walltime. */
  walltimeSeconds: number;
  /** The image was pulled for this launch: it is new enough. */
  isPulled?: true;
}

export type LaunchAnswer =
  | { kind: 'started' }
  /** A task that runs nothing has no end to wait for. */
  | { kind: 'finished'; result: TaskResult }
  | { kind: 'imageMissing' }
  | { kind: 'killed' }
  /** The user wants the job deleted, and said so before there was an execution to tell. */
  | { kind: 'deleted' }
  | { kind: 'stale' };

export type PullAnswer =
  | { kind: 'pulled'; image: Pick<TaskExecution, 'imagePullStatus' | 'imagePullTime' | 'imageSha256' | 'imageDigest'> }
  | { kind: 'failed'; detail: string };

export type StageInAnswer =
  | { kind: 'done'; seconds: number }
  | { kind: 'failed'; step: 'download' | 'uncompress'; detail: string; seconds: number };

/** `killed`: the run was ended before. */
export type MountAnswer = { kind: 'mounted' } | { kind: 'killed' } | { kind: 'failed'; detail: string };
/** `failed`: the storage did not take all that was written. */
export type UnmountAnswer = { kind: 'unmounted' } | { kind: 'failed'; detail: string };

export interface StageOutAnswer {
  seconds: number;
  failures: { cause: 'missing' | 'tarball' | 'upload'; detail: string }[];
}

/** Signal: the machine saw a launch end. Repeats are ignored. */
export interface TaskFinished {
  attempt: number;
  launch: number;
  result: TaskResult;
}

/** Signal: the attempt can't go on where it is. */
export interface RunLost {
  attempt: number;
  cause: 'machineLost' | 'taskLost';
  detail: string;
}

/** Signal: while it waited, it came to what its queue policy does not allow to wait out. */
export interface LeftQueue extends PlacementRefusal {
  attempt: number;
}

export const jobSignals = {
  placed: 'placed',
  leftQueue: 'leftQueue',
  taskFinished: 'taskFinished',
  runLost: 'runLost',
} as const;
export const jobQuery = 'describe';

export interface JobView {
  jobId?: number;
  phase:
    'opening' | 'queued' | 'mounting' | 'stagingIn' | 'pulling' | 'running' | 'stagingOut' | 'unmounting' | 'finished';
  attempt: number;
  site?: string;
  machine?: string;
  taskIndex?: number;
  result?: JobResult;
}

/** Terminal facts a workflow reports in one write. */
export interface JobEnding extends AttemptRef {
  status: TerminalStatus;
  statusReason?: string;
  statusDetail?: string;
  tasks: TaskExecution[];
  stageInSeconds?: number;
  stageOutSeconds?: number;
  retries: number;
  /** Seconds since the epoch: what the machine saw last, maybe long before we could hear of it. Absent: now. */
  endedAt?: number;
  /** Whether what depends on the job may run. */
  succeeded: boolean;
}
