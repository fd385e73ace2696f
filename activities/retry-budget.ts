/**
 * What earlier attempts of an activity met. Temporal counts all attempts alike, but a machine out of reach is waited for as
 * long as it takes, and must not use up the few tries that other failures get. Travels from attempt to attempt in the
 * heartbeat.
 */

export type FailureKind =
  /** A source of images that may do better the next time. */
  | 'pull'
  /** Our store refuses what was signed for it. */
  | 'refused'
  /** Anything nobody thought of. */
  | 'unexpected';

export interface RetryRecord {
  counts?: Partial<Record<FailureKind, number>>;
  /** When our store was found to be away, first and last, in milliseconds since the epoch. */
  storeAway?: { first: number; last: number };
  /** Since when the activity waits for something, in milliseconds since the epoch. */
  waitingSince?: number;
}

/**
 * Our own object store, being away, comes back: what a job computed, or waits for, is not given up for that. Tried at
 * least every 15 s (`hostRetry`), each time with a few attempts of the machine's own.
 */
const storePatienceMs = 3600_000;

export class RetryBudget {
  private current: RetryRecord;
  private readonly now: () => number;

  /** @param record of the attempt before; anything else counts as none */
  constructor(record: unknown, now: () => number = Date.now) {
    this.current = (record as RetryRecord | null | undefined) ?? {};
    this.now = now;
  }

  /** One more of its kind. @returns how many there were, this one included */
  count(kind: FailureKind): number {
    const number = (this.current.counts?.[kind] ?? 0) + 1;
    this.current = { ...this.current, counts: { ...this.current.counts, [kind]: number } };
    return number;
  }

  /**
   * Our store is away now: whether to wait for it still. The time begins with the first failure, and anew where an attempt
   * worked for longer than we would have waited: then the store was there meanwhile.
   */
  mayWaitForStore(): boolean {
    const now = this.now();
    const before = this.current.storeAway;
    const first = before && now - before.last < storePatienceMs ? before.first : now;
    this.current = { ...this.current, storeAway: { first, last: now } };
    return now - first < storePatienceMs;
  }

  /** It waits, and it will be tried again. @returns since when, in milliseconds since the epoch */
  wait(): number {
    const since = this.current.waitingSince ?? this.now();
    this.current = { ...this.current, waitingSince: since };
    return since;
  }

  get hasWaited(): boolean {
    return this.current.waitingSince !== undefined;
  }

  /** For the attempts after this one. */
  get record(): RetryRecord {
    return this.current;
  }
}
