/** The wire's shapes as a client sees them: the documents that are sent, and the answers. */

export type JobStatus = 'pending' | 'running' | 'completed' | 'failed' | 'deleted' | 'killed';

/** A job description as submitted. Sizes are GB, walltime is minutes. */
export interface JobDocument {
  name?: string;
  labels?: Record<string, string>;
  resources: {
    nodes?: number;
    cpus?: number;
    memory?: number;
    disk: number;
    walltime?: number;
    [key: string]: unknown;
  };
  tasks: TaskDocument[];
  artifacts?: { url: string; mountpoint?: string; executable?: boolean }[];
  /** `content` is base64. */
  inputs?: { filename: string; content: string; executable?: boolean }[];
  outputFiles?: string[];
  outputDirs?: string[];
  policies?: Record<string, unknown>;
  notifications?: Record<string, unknown>[];
  storage?: Record<string, unknown>;
}

export interface TaskDocument {
  image: string;
  runtime: 'singularity' | 'udocker';
  cmd?: string;
  env?: Record<string, string>;
  workdir?: string;
  type?: string;
  procsPerNode?: number;
  imagePullCredential?: { username: string; token: string };
}

export interface JobSummary {
  id: number;
  name: string;
  status: JobStatus;
  statusReason?: string;
  tasks: TaskDocument[];
  /** Seconds since the epoch. */
  events: { createTime: number; startTime?: number; endTime?: number };
  /** Of an instance made by a factory. */
  parameters?: Record<string, string | number>;
  workflowId?: number;
}

export interface JobDetail extends JobSummary {
  /** For people; more than the reason. */
  statusDetail?: string;
  resources?: JobDocument['resources'];
  labels?: Record<string, string>;
  policies?: Record<string, unknown>;
  /** `url` is '' until the file was stored. */
  outputFiles?: { name: string; url: string; size?: number }[];
  outputDirs?: { name: string; url: string; size?: number }[];
  execution?: JobExecution;
}

export interface JobExecution {
  site?: string;
  retries?: number;
  /** Seconds. */
  stageInTime?: number;
  stageOutTime?: number;
  maxMemoryUsageKB?: number;
  tasks?: {
    exitCode?: number;
    retries?: number;
    imagePullStatus?: 'completed' | 'cached' | 'failed';
    /** Seconds. */
    imagePullTime?: number;
    wallTimeUsage?: number;
    cpuTimeUsage?: number;
    maxResidentSetSizeKB?: number;
    error?: string;
  }[];
}

/** What is listed: by default what is in the queue. */
export interface ListFilter {
  completed?: boolean;
  all?: boolean;
  /** How many finished ones, newest first; only with `completed`. */
  num?: number;
  status?: 'idle' | 'running';
  name?: string;
  /** `label=value`. */
  constraint?: string;
  id?: readonly number[];
  detail?: boolean;
}

export interface JobFilter extends ListFilter {
  /** The jobs of this workflow, in place of `id`. */
  ofWorkflow?: number;
}

export interface StoredUpload {
  name: string;
  sizeBytes: number;
  lastModified: string;
}
