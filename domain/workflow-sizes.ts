/**
 * Bounds of the tree of executions under a workflow, so that no history and no number of open executions grows with
 * its size. Changing them changes what recorded histories say: patch where they are used.
 */

/** Jobs under one shard, all of which ask for their places at once: some 5,000 events if each starts and ends alone. */
export const shardSize = 500;

/** Jobs under one group: 50 shards. */
export const groupSize = 50 * shardSize;

/** Shards of a group that are open at once. */
export const groupLanes = 4;

/** Jobs of one workflow that ask for places or run at once. */
export const mostOpenJobs = 4000;

/** Children of one execution that are open at once; the server refuses 2,000. */
export const mostOpenChildren = 1000;
