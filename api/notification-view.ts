/**
 * What became of the notifications of a job or workflow, beside the list that was submitted and not in it: that one is
 * submitted again by whoever copies an answer.
 */
import type { NotificationFate } from '../db/notifications.ts';

/** Absent while nothing was tried. */
export function notificationStates(fates: NotificationFate[]): { notificationStates?: Record<string, unknown>[] } {
  if (fates.length === 0) return {};
  return {
    notificationStates: fates.map(({ position, state, attempts, detail, changedAt }) => ({
      position,
      state,
      attempts,
      ...(detail === null || state === 'delivered' ? {} : { reason: detail }),
      time: changedAt,
    })),
  };
}
