/** One notification: tried until it is delivered, can't be, or its time is over. Nothing waits for it. */
import { ActivityFailure, CancellationScope, isCancellation } from '@temporalio/workflow';
import type { NotificationRef, NotificationResult } from '../domain/notification.ts';
import { notifications, notificationRecords } from './activities.ts';

export async function notificationWorkflow(ref: NotificationRef): Promise<NotificationResult> {
  try {
    return await notifications.notify(ref);
  } catch (error) {
    if (!(error instanceof ActivityFailure || isCancellation(error))) throw error;
    return CancellationScope.nonCancellable(() => notificationRecords.giveUpNotifying(ref));
  }
}
