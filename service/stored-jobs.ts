/** Ids are never used again, and the jobs of a workflow have theirs from its submit on: nobody may take them all. */
import { sumOfJobs } from '../db/workflow-listing.ts';
import type { Database } from '../db/connection.ts';
import { invalid } from './rejected.ts';

/** Of all workflows of one owner, until retention removes them. Ids have 31 bits, for everybody together. */
const mostStoredJobs = 20_000_000;

/** @throws Rejected when the workflows of this owner have as many jobs as they may have together */
export async function refuseWithoutRoom(db: Database, owner: string): Promise<void> {
  const sum = await sumOfJobs(db, owner);
  if (sum < mostStoredJobs) return;
  throw invalid(
    `your workflows have ${sum} jobs, and may have ${mostStoredJobs} together: ended ones are removed after some time`,
  );
}
