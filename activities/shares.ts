/**
 * A transfer holds a slot of its worker for as long as a stranger's server takes. So that one owner's slow ones leave room
 * for everybody else's, each owner gets at most half of the slots; what is beyond that gives its slot back and asks again.
 */
import { ApplicationFailure } from '@temporalio/common';
import type { AttemptRef } from '../domain/job-messages.ts';

const askAgainMs = 2000;

/** @param ownerOf undefined for a job that is gone, which is then left to the activity to find out */
export function inShares<Activities extends Record<string, (ref: never) => Promise<unknown>>>(
  activities: Activities,
  { slots, ownerOf }: { slots: number; ownerOf(jobId: number): Promise<string | undefined> },
): Activities {
  const most = Math.max(1, Math.floor(slots / 2));
  const held = new Map<string, number>();
  const shared = (activity: (ref: never) => Promise<unknown>) => async (ref: AttemptRef) => {
    const owner = (await ownerOf(ref.jobId)) ?? '';
    const before = held.get(owner) ?? 0;
    if (before >= most) {
      throw ApplicationFailure.create({
        message: 'other transfers of the same user go first',
        type: 'WaitsForOwnTransfers',
        nextRetryDelay: askAgainMs,
      });
    }
    held.set(owner, before + 1);
    try {
      return await activity(ref as never);
    } finally {
      const left = held.get(owner)! - 1;
      if (left > 0) held.set(owner, left);
      else held.delete(owner);
    }
  };
  return Object.fromEntries(
    Object.entries(activities).map(([name, activity]) => [name, shared(activity)]),
  ) as unknown as Activities;
}
