/**
 * Takes away what ended long ago: first objects in the store, then rows. Killed in between, it finds the rest again by the
 * rows. One process at a time does it, in rounds of bounded size.
 */
import {
  claimExpiredWorkflow,
  endKeeping,
  jobsPastRetention,
  forgetKeys,
  jobsOfExpired,
  namedObjects,
  removeJobs,
  removeWorkflow,
  sharedObjects,
  type JobPastRetention,
} from '../db/retention.ts';
import type { Database } from '../db/connection.ts';
import { forgetObjects } from '../db/quotas.ts';
import { jobFolders } from '../storage/keys.ts';
import type { ObjectStore } from '../storage/object-store.ts';

export interface RetentionSettings {
  /** How long what ended stays. */
  finishedDays: number;
  /** How long after its end it stays in the queue, where leaveInQueue keeps it there. */
  keptDays: number;
}

export interface RetentionDependencies {
  db: Database;
  store: Pick<ObjectStore, 'list' | 'delete'>;
  settings: RetentionSettings;
}

export interface Removed {
  jobs: number;
  workflows: number;
  objects: number;
  /** There may be more that is due. */
  isMore: boolean;
}

/** @param most jobs of the round, rather fewer where they have objects to delete */
export async function removeExpired(
  { db, store, settings }: RetentionDependencies,
  now: Date,
  most = 500,
): Promise<Removed> {
  const daysAgo = (days: number) => new Date(now.getTime() - days * 24 * 3600 * 1000);
  const before = daysAgo(settings.finishedDays);
  await endKeeping(db, daysAgo(settings.keptDays));
  const single = await jobsPastRetention(db, before, most);
  const ofSingle = await remove(db, store, single);
  if (single.length === most) return { jobs: most, workflows: 0, objects: ofSingle, isMore: true };

  const workflowId = await claimExpiredWorkflow(db, before);
  if (workflowId === undefined) {
    const forgotten = await forgetKeys(db, before, most);
    return { jobs: single.length, workflows: 0, objects: ofSingle, isMore: forgotten === most };
  }
  const inside = await jobsOfExpired(db, workflowId, most);
  const objects = ofSingle + (await remove(db, store, inside));
  const isLast = inside.length < most;
  if (isLast) await removeWorkflow(db, workflowId);
  return { jobs: single.length + inside.length, workflows: isLast ? 1 : 0, objects, isMore: true };
}

const deletedAtOnce = 16;

/** @returns how many objects went */
async function remove(db: Database, store: RetentionDependencies['store'], jobs: JobPastRetention[]): Promise<number> {
  const ids = jobs.map(({ id }) => id);
  const keys = new Set(await namedObjects(db, ids));
  await inParallel(jobs, async (job) => {
    const { outputs, snapshots } = jobFolders(job.uid);
    const folders = [...(job.hasOutputs ? [outputs] : []), ...(job.hasSnapshots ? [snapshots] : [])];
    for (const folder of folders) for await (const { key } of store.list(folder)) keys.add(key);
  });
  const shared = await sharedObjects(db, [...keys], ids);
  const unneeded = [...keys].filter((key) => !shared.has(key));
  await inParallel(unneeded, (key) => store.delete(key));
  await forgetObjects(db, unneeded);
  await removeJobs(db, ids);
  return unneeded.length;
}

async function inParallel<T>(items: T[], work: (item: T) => Promise<void>): Promise<void> {
  const waiting = items.values();
  const lane = async () => {
    for (const item of waiting) await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(deletedAtOnce, items.length) }, lane));
}
