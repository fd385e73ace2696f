/**
 * Why what somebody asks for is not done. Each door tells it in its own way: the API as a status, the SDK's as a failure
 * of the execution.
 */
import type { Issue } from '../descriptions/issues.ts';

export type RejectionKind =
  /** It is wrong, or names what is not there. */
  | 'invalid'
  /** Others may do it, or the same later with less. */
  | 'forbidden'
  /** It contradicts what was asked for before. */
  | 'conflict'
  /** Too often: later. */
  | 'tooMany'
  /** What is needed to decide does not answer: later. */
  | 'unavailable';

export class Rejected extends Error {
  override readonly name = 'Rejected';
  readonly kind: RejectionKind;
  /** All that is wrong with a description, where there may be more than one. */
  readonly issues: readonly Issue[] | undefined;
  readonly retryAfterSeconds: number | undefined;

  constructor(
    kind: RejectionKind,
    message: string,
    more: { issues?: readonly Issue[]; retryAfterSeconds?: number; cause?: unknown } = {},
  ) {
    super(message, { cause: more.cause });
    this.kind = kind;
    this.issues = more.issues;
    this.retryAfterSeconds = more.retryAfterSeconds;
  }
}

export const invalid = (message: string, issues?: readonly Issue[]): Rejected =>
  new Rejected('invalid', message, issues ? { issues } : {});
export const forbidden = (message: string): Rejected => new Rejected('forbidden', message);
