/** Idempotency-Key: a client that does not know whether its submit arrived sends it again and gets the same id. */
import { createHash } from 'node:crypto';
import type { Idempotency, KeyedAnswer } from '../db/idempotency-keys.ts';
import { invalid, Rejected } from './rejected.ts';

const longestIdempotencyKey = 255;

/** @throws Rejected for a key that is none */
export function refuseWrongKey(key: string | undefined): void {
  if (key === undefined || (key !== '' && key.length <= longestIdempotencyKey)) return;
  throw invalid(`Idempotency-Key must be 1 to ${longestIdempotencyKey} characters`);
}

/** Undefined without a key. */
export function idempotencyOf(key: string | undefined, submitted: unknown): Idempotency | undefined {
  return key === undefined ? undefined : { key, requestHash: requestHash(submitted) };
}

/** @throws Rejected where the key was of another request */
export function acceptedId(answer: KeyedAnswer): number {
  if (answer.kind === 'accepted') return answer.id;
  throw new Rejected(
    'conflict',
    'This Idempotency-Key was used for another request: send a new one, or the same request',
  );
}

/** The same for the same content, whatever the order of members. */
function requestHash(submitted: unknown): string {
  return createHash('sha256').update(canonical(submitted)).digest('hex');
}

function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, member: unknown) =>
    typeof member === 'object' && member !== null && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : 1)))
      : member,
  );
}
