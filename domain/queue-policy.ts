/**
 * What `maximumTimeInQueue` means (docs/wire.md 5.2, 5.3). -1 waits for whatever may come, and n too, for n minutes of
 * each stay in the queue. 0 waits its turn until there is a failure: that no machine could ever run the job, or that
 * all those which could are lost. Whoever has run already waits for them: how often it may lose its machine has a limit
 * of its own.
 */
import type { PlacementDecision } from './placement.ts';
import { reasons, type StatusReason } from './reasons.ts';

/** What a request in the queue is to wait out: busy machines only, also the loss of all that could run it, or anything. */
export type WaitsOut = 'busyMachines' | 'lostMachines' | 'anything';

/** @param attempt from 1 */
export function waitsOut(policies: { maximumTimeInQueueMinutes: number }, attempt: number): WaitsOut {
  if (policies.maximumTimeInQueueMinutes !== 0) return 'anything';
  return attempt === 1 ? 'busyMachines' : 'lostMachines';
}

export interface QueueRefusal {
  statusReason: StatusReason;
  statusDetail: string;
}

/** Why the request is to leave the queue; undefined when it may stay. */
export function queueRefusal(decision: PlacementDecision, patience: WaitsOut): QueueRefusal | undefined {
  if (decision.kind === 'place' || patience === 'anything') return undefined;
  const { reason: statusDetail } = decision;
  if (decision.kind === 'never') return { statusReason: reasons.noMatchingResources, statusDetail };
  const isTooMuch = decision.isOutage && patience === 'busyMachines';
  return isTooMuch ? { statusReason: reasons.noMatchingResourcesNow, statusDetail } : undefined;
}
