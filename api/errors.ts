/**
 * Every answer that is not a success has a JSON body with one sentence in `error`: clients print it, and some die on
 * anything else. The status follows docs/wire.md 1.5; a missing thing is 400, never 404.
 */
import type { Context } from 'hono';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import type { Logger } from 'pino';
import { isUnavailable, isUnstorable } from '../db/connection.ts';
import { Rejected, type RejectionKind } from '../service/rejected.ts';

/** A request that can't be done, and what the client is told. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: ContentfulStatusCode;
  readonly headers: Record<string, string>;
  /** Further members of the answer. */
  readonly extra: Record<string, unknown>;
  constructor(
    status: ContentfulStatusCode,
    message: string,
    more: { headers?: Record<string, string>; extra?: Record<string, unknown>; cause?: unknown } = {},
  ) {
    super(message, { cause: more.cause });
    this.status = status;
    this.headers = more.headers ?? {};
    this.extra = more.extra ?? {};
  }
}

export const badRequest = (message: string, extra?: Record<string, unknown>): ApiError =>
  new ApiError(400, message, extra ? { extra } : {});

export const forbidden = (message: string): ApiError => new ApiError(403, message);

/** `error` is what clients know; `detail` says why, in the answer and as RFC 6750 has it in a header. */
export const unauthorized = (message = 'Authentication failure', detail?: string): ApiError => {
  const why = detail?.replace(/[^\x20-\x7e]/g, '?').replace(/["\\]/g, "'");
  const challenge = why ? `Bearer error="invalid_token", error_description="${why}"` : 'Bearer';
  return new ApiError(401, message, {
    headers: { 'WWW-Authenticate': challenge },
    ...(detail ? { extra: { detail } } : {}),
  });
};

export const unavailable = (message: string, cause?: unknown): ApiError =>
  new ApiError(503, message, { headers: { 'Retry-After': '5' }, cause });

/** The last stop of every error. Only what is a bug of ours is logged as an error. */
export function errorAnswer(log: Logger): (error: Error, c: Context) => Response {
  return (error, c) => {
    const known = toApiError(error);
    if (!known) {
      log.error({ err: error, method: c.req.method, path: c.req.path }, 'request failed');
      return c.json({ error: 'The server met an unexpected problem with this request; it has been logged' }, 500);
    }
    const { method, path } = c.req;
    if (known.status >= 500) log.warn({ err: error, method, path }, known.message);
    // Whom it was refused is for operators to see; a query may hold values of users, and is not logged.
    else if (known.status === 401 || known.status === 403) {
      log.info({ method, path, status: known.status, ...known.extra }, known.message);
    }
    return c.json({ error: known.message, ...known.extra }, known.status, known.headers);
  };
}

const statusOf = {
  invalid: 400,
  forbidden: 403,
  conflict: 409,
  tooMany: 429,
  unavailable: 503,
} as const satisfies Record<RejectionKind, ContentfulStatusCode>;

function ofRejected({ kind, message, issues, retryAfterSeconds, cause }: Rejected): ApiError {
  if (kind === 'unavailable') return unavailable(message, cause);
  return new ApiError(statusOf[kind], message, {
    ...(issues ? { extra: { issues } } : {}),
    ...(retryAfterSeconds === undefined ? {} : { headers: { 'Retry-After': String(retryAfterSeconds) } }),
    cause,
  });
}

function toApiError(error: Error): ApiError | undefined {
  if (error instanceof ApiError) return error;
  if (error instanceof Rejected) return ofRejected(error);
  if (isUnavailable(error)) return unavailable('The database does not answer at the moment, please try again', error);
  if (isUnstorable(error)) return badRequest('The request contains a value that can not be stored, or more than fits');
  return undefined;
}
