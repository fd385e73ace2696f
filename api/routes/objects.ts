/**
 * Serves the objects of the local store to whoever holds a signed URL: jobs' machines, users, browsers. The signature is
 * the whole right; no user is looked at. Bodies are streamed both ways and never held.
 */
import { Readable } from 'node:stream';
import { Hono, type Context } from 'hono';
import { rangeOf } from '../../storage/byte-range.ts';
import { StorageError } from '../../storage/errors.ts';
import type { LocalStore } from '../../storage/local.ts';
import type { Grantee, ObjectGrant } from '../../storage/signed-url.ts';
import type { Barrable } from '../auth/bars.ts';

/** What becomes of a PUT beside its bytes. */
export interface PutRules {
  /** Whose URL it is may be barred since it was given out. @throws ApiError */
  refuse: (who: Barrable) => Promise<void>;
  /** The object is there. */
  record: (put: { key: string; by: Grantee; size: number }) => Promise<void>;
}

/** GET, HEAD and PUT of `/objects/<key>`. To be mounted outside of authentication and of limits on body sizes. */
export function objectRoutes(store: LocalStore, rules: PutRules): Hono {
  const app = new Hono();
  app.get('/objects/*', (c) => granted(store, c, 'GET', (grant) => get(store, c, grant)));
  app.put('/objects/*', (c) => granted(store, c, 'PUT', (grant) => put(store, rules, c, grant)));
  return app;
}

async function granted(
  store: LocalStore,
  c: Context,
  method: ObjectGrant['method'],
  answer: (grant: ObjectGrant) => Promise<Response>,
): Promise<Response> {
  const check = store.signer.check(method, new URL(c.req.raw.url));
  if (check.kind === 'granted') return answer(check.grant);
  return c.json({ error: check.reason === 'expired' ? 'The URL has expired' : 'The signature is not valid' }, 403);
}

async function put(
  store: LocalStore,
  { refuse, record }: PutRules,
  c: Context,
  { key, sha256, mostBytes, by }: ObjectGrant,
): Promise<Response> {
  if (by) await refuse(by);
  const length = c.req.header('content-length');
  const body = c.req.raw.body === null ? [] : Readable.fromWeb(c.req.raw.body as never);
  try {
    const size = await store.folder.write(key, body, {
      ...(sha256 === undefined ? {} : { sha256 }),
      ...(length === undefined ? {} : { sizeBytes: Number(length) }),
      ...(mostBytes === undefined ? {} : { mostBytes }),
    });
    if (by) await record({ key, by, size });
  } catch (error) {
    // The client went away; nobody reads this answer, and nothing of ours failed.
    if (hasBrokenOff(error)) return c.body(null, 400);
    if (!(error instanceof StorageError)) throw error;
    if (error.code === 'bodyMismatch') return c.json({ error: error.message }, 400);
    if (error.code === 'tooLarge') return c.json({ error: error.message }, 413);
    if (error.code === 'full') return c.json({ error: error.message }, 507);
    throw error;
  }
  return c.body(null, 200);
}

async function get(store: LocalStore, c: Context, { key }: ObjectGrant): Promise<Response> {
  const object = await store.folder.open(key);
  if (object === undefined) return c.json({ error: 'There is no such object' }, 404);
  const { file, etag, sizeBytes } = object;
  const lastModified = object.lastModified.toUTCString();
  const headers: Record<string, string> = {
    'Accept-Ranges': 'bytes',
    ETag: etag,
    'Last-Modified': lastModified,
    // What users stored must never act as a page of ours.
    'Content-Type': 'application/octet-stream',
    'X-Content-Type-Options': 'nosniff',
    'Content-Security-Policy': 'sandbox',
  };
  const condition = c.req.header('if-range');
  const isUnchanged = condition === undefined || condition === etag || condition === lastModified;
  const range = rangeOf(isUnchanged ? c.req.header('range') : undefined, sizeBytes);
  if (range.kind === 'unsatisfiable') {
    await file.close();
    return c.body(null, 416, { ...headers, 'Content-Range': `bytes */${sizeBytes}` });
  }
  const { start, lengthBytes } = range;
  headers['Content-Length'] = String(lengthBytes);
  if (range.kind === 'part') headers['Content-Range'] = `bytes ${start}-${start + lengthBytes - 1}/${sizeBytes}`;
  const status = range.kind === 'part' ? 206 : 200;
  if (c.req.method === 'HEAD' || lengthBytes === 0) {
    await file.close();
    return c.body(null, status, headers);
  }
  // The stream closes the file at its end, and when the client goes away.
  const bytes = file.createReadStream({ start, end: start + lengthBytes - 1 });
  return c.body(Readable.toWeb(bytes) as ReadableStream, status, headers);
}

function hasBrokenOff(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ECONNRESET';
}
