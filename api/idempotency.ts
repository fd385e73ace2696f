/** Idempotency-Key: a client that does not know whether its submit arrived sends it again and gets the same id. */
import { createHash } from 'node:crypto';
import type { Context } from 'hono';
import { ApiError, badRequest } from './errors.ts';

const longestIdempotencyKey = 255;

/** @throws ApiError 400 */
export function readKey(c: Context): string | undefined {
  const key = c.req.header('idempotency-key');
  if (key === undefined) return undefined;
  if (key === '' || key.length > longestIdempotencyKey) {
    throw badRequest(`Idempotency-Key must be 1 to ${longestIdempotencyKey} characters`);
  }
  return key;
}

/** @throws ApiError 409 */
export function refuseReusedKey(): never {
  throw new ApiError(409, 'This Idempotency-Key was used for another request: send a new one, or the same request');
}

/** The same for the same content, whatever the order of members. */
export function requestHash(submitted: unknown): string {
  return createHash('sha256').update(canonical(submitted)).digest('hex');
}

function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, member: unknown) =>
    typeof member === 'object' && member !== null && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : 1)))
      : member,
  );
}
