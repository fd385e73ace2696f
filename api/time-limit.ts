/** An answer that does not begin in time is given up: what was asked may still happen, as with a lost connection. */
import { setTimeout as pause } from 'node:timers/promises';
import type { MiddlewareHandler } from 'hono';
import { unavailable } from './errors.ts';
import type { Env } from './resource.ts';

/** @throws ApiError 503 from the middleware */
export function timeLimit(withinMs: number): MiddlewareHandler<Env> {
  return async (_c, next) => {
    const timer = new AbortController();
    const tooLate = pause(withinMs, undefined, { signal: timer.signal, ref: false }).then(
      () => {
        throw unavailable('The server could not answer in time: the database or the object store may be overloaded');
      },
      // Aborted: there was an answer.
      () => undefined,
    );
    try {
      await Promise.race([next(), tooLate]);
    } finally {
      timer.abort();
    }
  };
}
