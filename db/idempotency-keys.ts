/** What a client's Idempotency-Key stands for: the job or the workflow that its first request made. */
import type { Database } from './connection.ts';

export interface Idempotency {
  key: string;
  /** Of what was asked: another request must not come with the same key. */
  requestHash: string;
}

export type KeyedAnswer = { kind: 'accepted'; id: number } | { kind: 'keyReused' };

/** Undefined: the key is free. */
export async function findKey(
  db: Database,
  owner: string,
  { key, requestHash }: Idempotency,
): Promise<KeyedAnswer | undefined> {
  const [earlier] = await db.$client<{ id: number; isSame: boolean }[]>`
    select resource_id as id, request_hash = ${requestHash} as "isSame"
    from idempotency_keys where owner = ${owner} and key = ${key}`;
  return earlier && (earlier.isSame ? { kind: 'accepted', id: earlier.id } : { kind: 'keyReused' });
}
