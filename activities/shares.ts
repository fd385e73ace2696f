/**
 * Some activities hold a slot of their worker for as long as a stranger's server or a user's command takes. So that one
 * owner's slow ones leave room for everybody else's, each owner gets at most half of the slots; what is beyond that gives its
 * slot back and asks again.
 */
import { ApplicationFailure } from '@temporalio/common';

const askAgainMs = 2000;

type Activity = (ref: never) => Promise<unknown>;
type ByName<Activities> = { [name in keyof Activities]: Activity };
type RefOf<Activities extends ByName<Activities>> = Parameters<Activities[keyof Activities]>[0];

/** @param ownerOf undefined for what is gone, which is then left to the activity to find out */
export function inShares<Activities extends ByName<Activities>>(
  activities: Activities,
  { slots, ownerOf }: { slots: number; ownerOf(ref: RefOf<Activities>): Promise<string | undefined> },
): Activities {
  const most = Math.max(1, Math.floor(slots / 2));
  const held = new Map<string, number>();
  const shared = (activity: Activity) => async (ref: RefOf<Activities>) => {
    const owner = (await ownerOf(ref)) ?? '';
    const before = held.get(owner) ?? 0;
    if (before >= most) {
      throw ApplicationFailure.create({
        message: 'others of the same user go first',
        type: 'WaitsForOwn',
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
    Object.entries<Activity>(activities).map(([name, activity]) => [name, shared(activity)]),
  ) as unknown as Activities;
}
