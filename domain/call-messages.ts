/** What can be asked of a running job on its machine, and what comes of it. Only the id of a call travels through Temporal. */

export interface CallRef {
  callId: string;
}

/** What is kept of what a command writes; one that writes more is ended. */
export const mostOutputBytes = 4 * 2 ** 20;

export type CallRequest =
  | { kind: 'exec'; argv: string[]; limitSeconds: number }
  /** `path` is relative to scratch. */
  | { kind: 'snapshot'; path: string };

export type CallResult =
  | { kind: 'ended'; exitCode: number; cause: 'exited' | 'limit' | 'memory' | 'processes' | 'runEnded' | 'unwanted' }
  | { kind: 'uploaded'; sizeBytes: number }
  /** It can't be done as things are; the detail is for the user. */
  | { kind: 'refused'; detail: string }
  /** It may have been done or not: a machine or a worker was lost on the way. */
  | { kind: 'broken'; detail: string };
