/** Who leaves the queue by itself: what became of the machines is more than its queue policy lets it wait out. */
import { decide } from '../domain/placement.ts';
import { queueRefusal } from '../domain/queue-policy.ts';
import type { Database } from '../db/connection.ts';
import { dequeue, findAsking, impatientRequests, lockPlacements, placeableMachines } from '../db/placements.ts';
import { endUnbegun } from '../db/unrun-jobs.ts';
import { isComplete, type PlacementContext } from './place.ts';

/** Also where nothing became of machines: for requests that were made by an older picture of them. */
const everyMilliseconds = 30_000;

/** @returns a look at the queue, to be called often: it costs something only when machines changed. It tells how many left */
export function queueLeaver(db: Database, context: PlacementContext): () => Promise<number> {
  let seen: string | undefined;
  let seenAt = 0;
  return async () => {
    const now = await outlook(db);
    if (now === seen && Date.now() - seenAt < everyMilliseconds) return 0;
    const ended = await endRefused(db, context);
    [seen, seenAt] = [now, Date.now()];
    return ended;
  };
}

const refusedAtOnce = 1000;

/**
 * Takes out of the queue what came to something that its policy does not let it wait out: machines were lost, became
 * smaller or went away since it asked. Returns how many.
 */
async function endRefused(db: Database, context: PlacementContext): Promise<number> {
  return db.transaction(async (tx) => {
    await lockPlacements(tx);
    const machines = await placeableMachines(tx);
    if (!isComplete(machines, context)) return 0;
    let ended = 0;
    for (const asked of await impatientRequests(tx)) {
      const [decision] = decide([asked], machines);
      const refusal = queueRefusal(decision!, asked.waitsOut);
      if (!refusal) continue;
      const { statusReason: reason, statusDetail: detail } = refusal;
      for (;;) {
        const asking = await findAsking(tx, asked, refusedAtOnce);
        const ids = asking.filter(({ isOfShard }) => isOfShard).map(({ jobId }) => jobId);
        await endUnbegun(tx, { ids }, { status: 'failed', reason, detail });
        await dequeue(tx, asking, { statusReason: reason, detail });
        ended += asking.length;
        if (asking.length < refusedAtOnce) break;
      }
    }
    return ended;
  });
}

/** Where machines stand, but for what is free on them: while that is the same, nobody has to leave the queue. */
async function outlook(db: Database): Promise<string> {
  const machines = await db.transaction((tx) => placeableMachines(tx));
  return JSON.stringify(machines.map(({ free: _, ...machine }) => machine).sort((a, b) => a.id - b.id));
}
