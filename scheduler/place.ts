/**
 * Applies what `decide` says. Two ways in: a job that asks while nobody waits is placed at once, everybody else is
 * placed by the elected scheduler. Each is one transaction under the placement lock.
 */
import { decide, type PlaceableMachine } from '../domain/placement.ts';
import type { PlacementAnswer } from '../domain/job-messages.ts';
import { queueRefusal, type QueueRefusal } from '../domain/queue-policy.ts';
import { reasons } from '../domain/reasons.ts';
import type { Turn } from '../domain/turns.ts';
import type { Database, Transaction } from '../db/connection.ts';
import {
  enqueue,
  enqueueShard,
  jobsPastQueueTime,
  grant,
  grantQueued,
  isAnyoneQueued,
  lockPlacements,
  placeableMachines,
  queuePage,
  recordRefusals,
  type Grant,
  type QueuedCandidate,
  type ShardRequest,
} from '../db/placements.ts';
import { endUnbegun } from '../db/unrun-jobs.ts';

export interface PlacementContext {
  /** Sites of the configuration: while one has no machine registered yet, nothing is impossible. */
  sites: string[];
}

export async function placeOrQueue(
  tx: Transaction,
  candidate: QueuedCandidate,
  context: PlacementContext,
): Promise<PlacementAnswer> {
  await lockPlacements(tx);
  const machines = await placeableMachines(tx);
  const [decision] = decide([candidate], machines);
  const refusal = isComplete(machines, context) ? queueRefusal(decision!, candidate.waitsOut) : undefined;
  if (refusal) return { kind: 'refused', statusReason: refusal.statusReason, detail: refusal.statusDetail };
  if (decision!.kind === 'place' && !(await isAnyoneQueued(tx))) {
    const { site, machine } = await grant(tx, candidate, decision!.machineId, decision!.size);
    return { kind: 'placed', placement: { attempt: candidate.attempt, machineId: decision!.machineId, site, machine } };
  }
  await enqueue(tx, candidate, decision!.kind === 'place' ? 'other jobs are ahead of it' : decision!.reason);
  return { kind: 'queued' };
}

/**
 * All jobs of a shard ask at once; a grant is told to the shard. What may not wait is refused instead: then nothing was
 * asked.
 */
export async function queueShard(
  tx: Transaction,
  request: ShardRequest,
  context: PlacementContext,
): Promise<{ kind: 'queued' } | { kind: 'refused'; refusal: QueueRefusal }> {
  const machines = await placeableMachines(tx);
  const [decision] = decide([{ ...request, jobId: request.jobIds[0]! }], machines);
  const refusal = isComplete(machines, context) ? queueRefusal(decision!, request.waitsOut) : undefined;
  if (refusal) return { kind: 'refused', refusal };
  await enqueueShard(tx, request, decision!.kind === 'place' ? 'other jobs are ahead of it' : decision!.reason);
  return { kind: 'queued' };
}

/** Most rounds have room for one or two jobs, and the first in the queue take it. */
const firstPageSize = 16;
const pageSize = 200;
const maximumPages = 10;

/** One round over the queue. Returns how many got a place; the outbox tells them. */
export async function placeQueued(db: Database): Promise<number> {
  return db.transaction(async (tx) => {
    await lockPlacements(tx);
    const machines = await placeableMachines(tx);
    let placed = 0;
    const reserved = new Set<number>();
    let after: Turn | undefined;
    for (let page = 0; page < maximumPages && machines.some(hasRoom); page += 1) {
      const waiting = await queuePage(tx, after, { size: page === 0 ? firstPageSize : pageSize, number: page });
      if (waiting.length === 0) break;
      const refusals: { id: number; refusal: string }[] = [];
      const grants: Grant[] = [];
      for (const [index, decision] of decide(waiting, machines, reserved).entries()) {
        const request = waiting[index]!;
        if (decision.kind !== 'place') {
          if (decision.reason !== request.refusal) refusals.push({ id: request.id, refusal: decision.reason });
          continue;
        }
        const { machineId, size } = decision;
        const { free } = machines.find(({ id }) => id === machineId)!;
        free.cpus -= size.cpus;
        free.memory -= size.memory;
        free.disk -= size.disk;
        grants.push({ request, machineId, size });
      }
      placed += await grantQueued(tx, grants);
      await recordRefusals(tx, refusals);
      after = waiting[waiting.length - 1]!;
    }
    return placed;
  });
}

const expiredAtOnce = 1000;

/** Ends jobs of shards that waited longer than they may. Returns how many; a single job watches its own time. */
export async function endExpired(db: Database): Promise<number> {
  return db.transaction(async (tx) => {
    const ids = await jobsPastQueueTime(tx, expiredAtOnce);
    return endUnbegun(tx, { ids }, { status: 'failed', reason: reasons.queuedTooLong, detail: null });
  });
}

function hasRoom(machine: PlaceableMachine): boolean {
  return machine.isReady && machine.free.cpus >= 1 && machine.free.memory > 0 && machine.free.disk > 0;
}

export function isComplete(machines: PlaceableMachine[], { sites }: PlacementContext): boolean {
  return sites.every((site) => machines.some((machine) => machine.site === site));
}
