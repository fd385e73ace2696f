/**
 * A job description after validation: defaults filled in, aliases resolved, every value of a known type. The document
 * as the user sent it is kept beside it (it is what `describe` and `clone` echo); everything that executes reads this
 * one. Units are in the names where the wire names carry none.
 */

export interface JobDescription {
  /** '' when the user gave none. */
  name: string;
  labels: Record<string, string>;
  resources: Resources;
  tasks: Task[];
  artifacts: Artifact[];
  inputs: InputFile[];
  outputFiles: string[];
  outputDirs: string[];
  policies: JobPolicies;
  notifications: Notification[];
  storage?: Storage;
}

/** Sizes are per node. Exactly one of `cpus`, `cpusRange`, `cpusOptions` and one of `memoryGb`, `memoryPerCpuGb` is set. */
export interface Resources {
  nodes: number;
  cpus?: number;
  cpusRange?: [number, number];
  cpusOptions?: [number, number];
  totalCpusRange?: [number, number];
  memoryGb?: number;
  memoryPerCpuGb?: number;
  diskGb: number;
  /** Undefined: the configured default applies. */
  walltimeMinutes?: number;
}

export type TaskType = 'basic' | 'sidecar' | 'openmpi' | 'mpich' | 'intelmpi';
/** `benchmark` runs nothing (domain/benchmark.ts), where a server allows it. */
export type ContainerRuntime = 'singularity' | 'udocker' | 'benchmark';

export interface Task {
  image: string;
  imagePullCredential?: { username: string; token: string };
  imageSha256?: string;
  runtime: ContainerRuntime;
  type: TaskType;
  /** Absent: the image's own entrypoint. Still one string, split like a shell line when the task is launched. */
  cmd?: string;
  app?: string;
  env: Record<string, string>;
  workdir?: string;
  procsPerNode?: number;
  /** File, relative to the scratch directory, that gets a copy of the task's output. */
  stdout?: string;
}

export interface Artifact {
  url: string;
  /** `source` is a directory in scratch, `target` the absolute path it is bound to in the container. */
  mountpoint?: { source: string; target: string };
  executable: boolean;
}

/** The user's own storage (docs/wire.md 3.6). */
export type Storage = {
  /** An absolute path without a slash at its end, where tasks see it; '': they do not. */
  mountpoint: string;
  /** Folder of the storage that stands for the whole of it; '' for the root. Without slashes at its ends. */
  directory: string;
  /** It stands in for the object store: images by absolute path, artifacts by name, and outputs. */
  isDefault: boolean;
} & (
  | { type: 'webdav'; webdav: { url: string; username: string; password: string } }
  | { type: 'b2drop'; b2drop: { 'app-username': string; 'app-password': string } }
  | { type: 'onedata'; onedata: { provider: string; token: string; options?: string } }
);

export interface InputFile {
  /** Basename only. */
  filename: string;
  contentBase64: string;
  executable: boolean;
}

export interface JobPolicies {
  maximumRetries: number;
  maximumTaskRetries: number;
  /** Minutes; -1 waits for ever, 0 until there is a failure (domain/queue-policy.ts). */
  maximumTimeInQueueMinutes: number;
  maximumIdleTimePerResourceMinutes: number;
  leaveInQueue: boolean;
  ignoreTaskFailures: boolean;
  reportJobSuccessOnTaskFailure: boolean;
  runSerialTasksOnAllNodes: boolean;
  priority: number;
  autoScalingType?: 'none' | 'dedicated' | 'shared';
  placement?: { requirements: PlacementFilter; preferences: PlacementFilter };
}

export interface PlacementFilter {
  sites?: string[];
  regions?: string[];
}

export type NotificationEvent = 'jobFinished' | 'workflowFinished';

/** Whom to tell when it is over, whatever came of it. */
export type Notification =
  /** To the owner's address. */
  { event: NotificationEvent; type: 'email' } | WebhookNotification;

export interface WebhookNotification {
  event: NotificationEvent;
  type: 'webhook';
  /** http or https, without credentials. */
  url: string;
  /** Signs what is sent, instead of the server's own key. */
  secret?: string;
}
