/** What is told about a job's execution; the shape is the wire's (`execution` of a described job). */

export interface JobExecution {
  site?: string;
  provisionedResources?: { cpus: number; memory: number; disk: number; nodes: number };
  cpu?: { vendor: string; model: string; clock: string };
  runtimeVersion?: { singularity?: string; udocker?: string };
  maxMemoryUsageKB?: number;
  /** Seconds. */
  stageInTime?: number;
  stageOutTime?: number;
  /** Job re-runs that the user's own policy asked for. */
  retries?: number;
  /** Of these streams only the beginning was kept. */
  outputTruncated?: ('stdout' | 'stderr')[];
  tasks: TaskExecution[];
}

export interface TaskExecution {
  imagePullStatus?: 'completed' | 'cached' | 'failed';
  /** Seconds; absent when the image was cached. */
  imagePullTime?: number;
  imageSha256?: string;
  /** Manifest digest where the registry told one. */
  imageDigest?: string;
  exitCode?: number;
  retries?: number;
  /** Seconds. */
  wallTimeUsage?: number;
  cpuTimeUsage?: number;
  maxResidentSetSizeKB?: number;
  error?: string;
}

/** How a task's process ended, as the machine saw it. Moments are seconds since the epoch, with fraction. */
export interface TaskResult {
  /** As a shell would tell it: 128 + n when signal n ended it. */
  exitCode: number;
  /** Who ended it: itself, the walltime, the limit of memory or of processes, or a kill that we sent. */
  cause: 'exited' | 'walltime' | 'memory' | 'processes' | 'killed';
  startedAt: number;
  endedAt: number;
  cpuSeconds: number;
  maxResidentSetSizeKb: number;
  /** Where it had too many: how many it might have had at one time, with their threads. */
  mostProcesses?: number;
}
