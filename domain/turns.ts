/**
 * The order of the queue. Owners take turns: those with the fewest running jobs first. Of one owner the highest priority
 * comes first, and among equals its workflows take turns, all its single jobs being one more of them: a job that comes
 * alone does not wait for the thousands of a workflow that was there before. The database does the same over a queue of
 * any length (`queuePage` in db/placements.ts).
 */

/** In place of a workflow's id: the jobs that are in none. */
export const singleJobs = 0;

/** Of one owner so many take turns, the older ones; further ones follow when those have nothing that waits. */
export const mostTakingTurns = 32;

export interface WaitingJob {
  /** The order of asking. */
  id: number;
  owner: string;
  priority: number;
  workflowId: number;
}

/** A place in the queue. */
export interface Turn {
  /** How many of its owner's jobs run or come before it. */
  rank: number;
  id: number;
}

type Running = Pick<WaitingJob, 'owner' | 'workflowId'>;

/** Those that wait, in their order. A grant moves what runs up and what waits down by one, so ranks hold meanwhile. */
export function inTurn(waiting: readonly WaitingJob[], running: readonly Running[]): Turn[] {
  const runningOf = (owner: string) => running.filter((job) => job.owner === owner);
  const owners = [...new Set(waiting.map(({ owner }) => owner))];
  const turns = owners.flatMap((owner) => {
    const runs = runningOf(owner);
    const own = withTurns(
      waiting.filter((job) => job.owner === owner),
      runs,
    );
    return own.map(({ id }, place) => ({ rank: runs.length + place + 1, id }));
  });
  return turns.sort((a, b) => a.rank - b.rank || a.id - b.id);
}

/** Of one owner. */
function withTurns(waiting: readonly WaitingJob[], running: readonly Running[]): WaitingJob[] {
  const places = new Map<string, number>();
  const byAge = [...waiting].sort((a, b) => a.id - b.id);
  const placed = byAge.map((job) => {
    const set = `${job.priority} ${job.workflowId}`;
    const runs = running.filter(({ workflowId }) => workflowId === job.workflowId).length;
    const place = (places.get(set) ?? runs) + 1;
    places.set(set, place);
    return { job, place };
  });
  placed.sort((a, b) => b.job.priority - a.job.priority || a.place - b.place || a.job.id - b.job.id);
  return placed.map(({ job }) => job);
}
