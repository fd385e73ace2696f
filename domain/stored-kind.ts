/** What an object in the store is to its owner. */
export type StoredKind = 'upload' | 'output' | 'snapshot';
