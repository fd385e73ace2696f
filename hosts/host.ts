/**
 * A host as everything above sees it: somewhere a POSIX shell script can be run. This machine and machines behind ssh
 * are the two kinds. What is started through a host and left behind (a supervisor) must not die with the connection.
 */
import type { Readable, Writable } from 'node:stream';

export interface Host {
  /** For people: `local` or `user@address:port`. */
  readonly label: string;
  /**
   * Run a script with `sh` and wait for its end. A non-zero exit code is a result, not an error.
   * @throws HostError when the host can't be reached, the connection is lost, or the time is over
   */
  run(script: string, options?: RunOptions): Promise<RunResult>;
  /** Start a script that goes on until its stdin is closed, and talk to it. @throws HostError */
  open(script: string, options?: OpenOptions): Promise<HostSession>;
  close(): Promise<void>;
}

/**
 * Scripts that may go on for so long: transfers, and what users ask for. A host that runs few scripts at once keeps places
 * for all others, which are never long or, as the watch, always there.
 */
export type Lasting = 'minutes' | 'hours';

export interface OpenOptions {
  /** Become $1, $2, ... of the script; never interpreted by the shell. */
  args?: string[];
  lasts?: Lasting;
  /** Ends the wait for the start. */
  signal?: AbortSignal;
}

export interface RunOptions {
  /** Become $1, $2, ... of the script; never interpreted by the shell. */
  args?: string[];
  lasts?: Lasting;
  stdin?: Uint8Array | Readable;
  /** Leave stdin open after `stdin`, for as long as this caller lives and waits: the script goes by its end. */
  staysOpen?: true;
  /** From the call on: a script that could not start in time never does. */
  timeoutSeconds?: number;
  signal?: AbortSignal;
}

export interface RunResult {
  exitCode: number;
  stdout: Buffer;
  stderr: Buffer;
}

export interface HostSession {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Resolves once, when the far end is gone for whatever reason. Never rejects. */
  readonly ended: Promise<{ exitCode?: number; error?: Error }>;
  close(): void;
}

export type HostErrorCode =
  /** No connection could be made, or it was lost: the host may be fine, or not. */
  | 'unreachable'
  /** The host answered with another key than the configured one. Never retried blindly. */
  | 'hostKeyMismatch'
  /** The host refused our user or key. */
  | 'authentication'
  /** The script ran longer than its time. */
  | 'timeout'
  /** The caller's signal ended it. */
  | 'aborted';

export class HostError extends Error {
  override readonly name = 'HostError';
  readonly code: HostErrorCode;
  constructor(code: HostErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
