/**
 * What can be done on a machine, in the words of jobs. Every operation may be repeated: it finds what an earlier call
 * left and goes on from there. Nothing here knows Temporal or the database.
 */
import type { ContainerRuntime } from '../domain/description.ts';
import type { TaskResult } from '../domain/execution.ts';
import type { MachineFacts } from '../domain/machine.ts';
import type { RunRef } from '../domain/runs.ts';

export interface Machine {
  readonly label: string;
  /** Make the work directory, find the runtimes, say what the machine is. */
  probe(): Promise<MachineFacts>;
  /** Download and unpack artifacts into the scratch directory, after writing the inputs there. Stops at the first failure. */
  stageIn(
    run: RunRef,
    prepare: RunPreparation,
    artifacts: StagedArtifact[],
    signal?: AbortSignal,
  ): Promise<StageInResult>;
  /** Have a user's storage where tasks of the run can be given it; one per run. Stays until it is ended. */
  mount(run: RunRef, request: MountRequest, signal?: AbortSignal): Promise<MountResult>;
  /**
   * End it, after it took what was written: as long as it takes anything at all within the patience. For a run without
   * one there is nothing to do.
   */
  unmount(run: RunRef, patienceSeconds: number, signal?: AbortSignal): Promise<UnmountResult>;
  /** Have an image in the machine's cache. @throws ImageError */
  pullImage(image: ImageRequest, signal?: AbortSignal): Promise<PulledImage>;
  /** Start a task's supervisor, or find that it was started before. At most one process ever runs per (run, task). */
  startTask(run: RunRef, launch: TaskLaunch): Promise<StartResult>;
  /**
   * TERM to the whole process group of whatever runs for this run, KILL after the grace; no further task can start. Done
   * when nothing is left; the run's storage ends too (the default), or is kept for what comes after the tasks.
   */
  killRun(run: RunRef, graceSeconds: number, mount?: 'keepMount' | 'endMount'): Promise<void>;
  /** Upload what was asked for. All are attempted; one result per request, in order. */
  stageOut(run: RunRef, outputs: OutputRequest[], options?: StageOutOptions): Promise<OutputResult[]>;
  /** Run a command beside the tasks of a run, in a container like that of the task that was started last. Not to be repeated. */
  exec(run: RunRef, request: ExecRequest, signal?: AbortSignal): Promise<ExecResult>;
  /** Pack a file or folder of scratch as it is now, and upload it. */
  snapshot(run: RunRef, request: SnapshotRequest, signal?: AbortSignal): Promise<OutputResult>;
  /** The one long-lived watch over all runs of this deployment on the machine. */
  watch(deployment: string): Promise<MachineWatch>;
  close(): Promise<void>;
}

export interface RunPreparation {
  /** Written into scratch, replacing what is there, before anything else. */
  inputs: { filename: string; content: Uint8Array; executable: boolean }[];
}

/** A user's storage, opened. Credentials: never logged, never on a command line, never in a file. */
export type MountRequest =
  /** `directory` is a folder below the URL; '' for the URL itself. */
  | { kind: 'webdav'; url: string; username: string; password: string; directory: string }
  /** Everything of the provider is mounted; `directory` only must be there. */
  | { kind: 'onedata'; provider: string; token: string; directory: string; options: string[] };

/** Also when an earlier call mounted it. `killed`: the run was ended before. */
export type MountResult = { kind: 'mounted' } | { kind: 'killed' } | { kind: 'failed'; detail: string };
/** `failed`: something that was written is lost. */
export type UnmountResult = { kind: 'unmounted' } | { kind: 'failed'; detail: string };

/**
 * Where bytes come from or go to: what curl takes, which may be signed and so is never logged and never on a command line;
 * or a path in what is mounted for the run.
 */
export type Transfer = { url: string; stored?: undefined } | { stored: string; url?: undefined };

export type StagedArtifact = Transfer & {
  /** Basename in scratch; decides how it is unpacked (docs/wire.md 7.4). */
  filename: string;
  executable: boolean;
  /** Hex; other bytes are refused as a failed download. */
  sha256?: string;
};

export type StageInResult =
  | { kind: 'done'; seconds: number }
  /** `isAway`: the source did not answer, and may do so another time. */
  | {
      kind: 'failed';
      step: 'download' | 'uncompress';
      isAway: boolean;
      index: number;
      detail: string;
      seconds: number;
    };

export interface ImageRequest {
  /** What runs it: each has a file of its own in the cache. */
  runtime: ContainerRuntime;
  /** Names the cache entry: a hash of the reference, and of the credential where there is one. */
  imageKey: string;
  source: ImageSource;
}

export type ImageSource =
  /** `reference` without `docker://`, e.g. `registry:5000/test/busybox:latest`. */
  | { kind: 'registry'; reference: string; credential?: { username: string; token: string }; insecure: boolean }
  /** A docker archive (`.tar`, `.tgz`) or else a SIF, downloaded from a URL that may be signed. */
  | { kind: 'download'; url: string; archive: boolean; sha256?: string }
  /** The same in a file of the machine, which must really be in one of the folders. */
  | { kind: 'path'; path: string; directories: string[]; archive: boolean; sha256?: string }
  /** The same in what is mounted for a run. */
  | { kind: 'stored'; run: RunRef; path: string; archive: boolean; sha256?: string };

export interface PulledImage {
  status: 'completed' | 'cached';
  seconds: number;
  /** Of the image file in the cache. */
  fileSha256: string;
  /** Manifest digest, where a registry told one. */
  digest?: string;
  sizeBytes: number;
}

export type ImageErrorCode = 'notFound' | 'unauthorized' | 'checksum' | 'diskFull' | 'invalid' | 'transient';
/** The image could not be had; `transient` ones are worth another try. The message is the source's own words. */
export class ImageError extends Error {
  override readonly name = 'ImageError';
  readonly code: ImageErrorCode;
  constructor(code: ImageErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

export interface TaskLaunch {
  launchNumber: number;
  /** Done first if it was not yet (jobs without artifacts have no separate stage-in). */
  prepare: RunPreparation;
  imageKey: string;
  fileSha256: string;
  runtime: ContainerRuntime;
  /** Absent: the image's own entrypoint. */
  argv?: string[];
  /** An app of the image (SCIF): it gets `argv`. */
  app?: string;
  /** Relative to scratch: what the task writes to stdout and stderr is appended to this file as well. */
  stdoutFile?: string;
  /** In the container; default /home/user. */
  workdir?: string;
  /** The complete environment inside the container. */
  env: Record<string, string>;
  binds: Bind[];
  walltimeSeconds: number;
  /** Of all that runs for the run at one time. */
  memoryBytes: number;
  killGraceSeconds: number;
  /** What is kept on the machine of each stream of the run; the rest is dropped. */
  outputBytes: number;
}

/** `source` is relative to scratch, and is made if it is missing, or to what is mounted for the run. */
export interface Bind {
  source: string;
  target: string;
  from?: 'scratch' | 'mount';
}

export type StartResult =
  /** `startedAt` in seconds since the epoch. Also when an earlier call started it. */
  | { kind: 'started'; startedAt: number }
  /** The cache no longer holds the image: pull it, then call again. */
  | { kind: 'imageMissing' }
  /** The run was killed before this task started. */
  | { kind: 'killed' };

export interface StageOutOptions {
  /** What tasks had, for links that lead there; those of a storage count for nothing. */
  binds?: Bind[];
  signal?: AbortSignal;
}

export type OutputRequest = Transfer & {
  kind: 'file' | 'directory';
  /** Relative to scratch; for files a glob whose first match is taken. */
  name: string;
};

export type OutputResult =
  | { kind: 'uploaded'; sizeBytes: number }
  /** `upload` may go well another time; `unreadable` is of no use to try again. */
  | { kind: 'failed'; cause: 'missing' | 'tarball' | 'unreadable' | 'refused' | 'upload'; detail: string };

/** What makes the container. */
export type ContainerLaunch = Pick<TaskLaunch, 'runtime' | 'argv' | 'app' | 'workdir' | 'env' | 'binds'>;

export interface ExecRequest {
  /** What to start, beside this launch; asked for when everything else is ready. */
  launch(launchNumberOf: number): Promise<ContainerLaunch & { fileSha256: string }>;
  limitSeconds: number;
  memoryBytes: number;
  /** Both streams as they come. False: nobody wants the command to go on. */
  onOutput(bytes: Buffer): Promise<boolean>;
}

export type ExecResult =
  | { kind: 'ended'; exitCode: number; cause: 'exited' | 'limit' | 'memory' | 'processes' | 'runEnded' | 'unwanted' }
  /** There is nothing it could run beside; the detail says why. */
  | { kind: 'refused'; detail: string };

export interface SnapshotRequest {
  /** Relative to scratch. */
  path: string;
  /** As for outputs. */
  binds?: Bind[];
  /** Where it is PUT to. Signed: never logged, never on a command line. */
  url: string;
}

/** A channel to the machine that follows all runs at once. Any call may throw HostError; then open another. */
export interface MachineWatch {
  readonly bootId: string;
  /** All runs of this deployment that have a directory on the machine. */
  list(): Promise<ObservedRun[]>;
  read(run: RunRef, stream: 'stdout' | 'stderr', offset: number, maxBytes: number): Promise<Buffer>;
  /** Resolves when a task ended (as far as the machine can tell us at once) or after the time; never rejects. */
  waitForChange(milliseconds: number): Promise<void>;
  /** Kill what may still run there and delete the run directories. */
  remove(runs: RunRef[]): Promise<void>;
  /** Resolves when the channel is gone. */
  readonly ended: Promise<void>;
  close(): void;
}

export interface ObservedRun {
  run: RunRef;
  stdoutBytes: number;
  stderrBytes: number;
  tasks: ObservedTask[];
}

export type ObservedTask = { launchNumber: number } & (
  | { state: 'running' }
  | { state: 'finished'; result: TaskResult }
  /** It was started, no process is left and it left no result: the machine restarted or its supervisor was killed. */
  | { state: 'lost'; detail: string }
);
