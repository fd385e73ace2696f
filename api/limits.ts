/** How much the API takes, of what both its routes and the OpenAPI document tell. */

/** How long the URL of an upload is good. */
export const uploadSeconds = 600;

export const largestValueBytes = 16_000;
/** Names are parts of index entries, which have a limit of their own. */
export const longestKeyBytes = 1024;
/** Of one user. */
export const mostKeys = 10_000;

export const mostValuesPerJob = 10_000;

/** Commands and snapshots of one job at a time. */
export const mostCalls = 8;
