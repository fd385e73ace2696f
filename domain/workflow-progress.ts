/** The progress of a workflow as clients know it: its parts add up to the total, whatever becomes of the jobs. */

export interface ProgressCounts {
  total: number;
  done: number;
  failed: number;
  queued: number;
  /** Of a deleted workflow: the jobs that ended as deleted, counted at its end. Null or absent: none were counted. */
  deleted?: number | null;
}

export interface Progress {
  total: number;
  done: number;
  failed: number;
  queued: number;
  waiting: number;
  deleted?: number;
}

/** What will never run counts as waiting; but in a deleted workflow nothing waits any more, and what it took along is told. */
export function progressOf({ total, done, failed, queued, deleted }: ProgressCounts): Progress {
  if (typeof deleted === 'number') {
    return { total, done, failed: total - done - deleted, queued: 0, waiting: 0, deleted };
  }
  return { total, done, failed, queued, waiting: total - done - failed - queued };
}
