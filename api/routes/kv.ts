/**
 * The key-value store of each user: small values of any bytes under names like paths (docs/wire.md 2.6). A value may be
 * marked as secret: it is encrypted in the database, shown masked, and told to the owner's jobs, which need it, or to
 * the owner who asks for just that.
 */
import type { Context } from 'hono';
import type { Database } from '../../db/connection.ts';
import { deleteValue, deleteValues, getValue, listValues, type KeyValue } from '../../db/key-values.ts';
import type { Sealing } from '../../secrets/sealing.ts';
import { ApiError, badRequest } from '../errors.ts';
import { plainValue, setValue, type Expectation } from '../key-value.ts';
import { largestValueBytes, longestKeyBytes, mostKeys } from '../limits.ts';
import { masked } from '../masking.ts';
import { kvOperations as docs } from '../openapi/others.ts';
import { resource, type App, type Env, type Guards } from '../resource.ts';
import { jsonArray } from '../streaming.ts';

const pageSize = 500;

export function kvRoutes(app: App, guards: Guards, deps: { db: Database; sealing: Sealing }): void {
  const { db } = deps;
  const list = (c: Context<Env>, prefix: string) => {
    const pages = keyPages(db, c.get('identity').owner, prefix, c.req.query('values') !== undefined);
    return jsonArray(c, pages);
  };
  const refOf = (c: Context<Env>) => ({ owner: c.get('identity').owner, key: keyOf(c) });

  resource(app, '/kv', guards, { docs: { GET: docs.list }, jobToken: { GET: 'reads' }, GET: (c) => list(c, '') });

  resource(app, '/kv/:key{.+}', guards, {
    docs: { GET: docs.get, POST: docs.set, DELETE: docs.delete },
    jobToken: { GET: 'reads', POST: 'changes', DELETE: 'changes' },
    GET: async (c) => {
      if (c.req.query('list') === 'true') return list(c, pathOf(c));
      const value = await getValue(db, refOf(c));
      if (value === undefined) throw new ApiError(404, 'No such key');
      const isSecret = value.sealedWith !== null;
      const isTold = !isSecret || c.get('identity').job !== undefined || c.req.query('reveal') === 'true';
      const shown = isTold ? plainValue(deps.sealing, value) : Buffer.from(masked);
      // What users stored must never act as a page of ours.
      return c.body(new Uint8Array(shown), 200, {
        'Content-Type': 'text/plain; charset=utf-8',
        'X-Content-Type-Options': 'nosniff',
        ...(isSecret ? { 'Cache-Control': 'no-store', 'X-Secret': isTold ? 'revealed' : 'masked' } : {}),
      });
    },
    POST: async (c) => {
      const ref = refOf(c);
      const value = Buffer.from(await c.req.arrayBuffer());
      if (value.length === 0) throw badRequest('No value provided');
      if (value.length > largestValueBytes) throw badRequest('Content of value too large');
      const asSecret = flagOf(c, 'secret');
      switch (await setValue(deps, ref, { value, asSecret, expected: expectationOf(c) }, mostKeys)) {
        case 'set':
          return c.json({}, 201);
        case 'unexpected':
          throw badRequest('Atomic replacement not successful');
        case 'full':
          throw badRequest(`There are ${mostKeys} keys already, which is as many as one user may have: delete some`);
        case 'unsealable':
          throw badRequest('This server has no key to encrypt secrets with (secrets.keys): nothing was stored');
      }
    },
    DELETE: async (c) => {
      const { owner, key } = refOf(c);
      await (c.req.query('prefix') === undefined ? deleteValue(db, { owner, key }) : deleteValues(db, owner, key));
      return c.json({});
    },
  });
}

/** Slashes in front don't count, and several count as one. */
function pathOf(c: Context): string {
  return (c.req.param('key') ?? '').replace(/\/{2,}/g, '/').replace(/^\//, '');
}

/** @throws ApiError 400 */
function keyOf(c: Context): string {
  const key = pathOf(c);
  if (key === '') throw badRequest('Key not specified');
  if (Buffer.byteLength(key) > longestKeyBytes) {
    throw badRequest(`A key must not be longer than ${longestKeyBytes} bytes`);
  }
  return key;
}

/** `prev` is what the value must be; an empty one, that there must be none: no value is empty. */
function expectationOf(c: Context): Expectation {
  const before = c.req.query('prev');
  if (before === undefined) return { kind: 'any' };
  return before === '' ? { kind: 'absent' } : { kind: 'value', value: Buffer.from(before) };
}

/** Undefined: nothing is said. @throws ApiError 400 */
function flagOf(c: Context, name: string): boolean | undefined {
  const text = c.req.query(name);
  if (text === undefined) return undefined;
  if (text !== 'true' && text !== 'false') throw badRequest(`${name} must be true or false, not "${text}"`);
  return text === 'true';
}

async function* keyPages(
  db: Database,
  owner: string,
  prefix: string,
  withValues: boolean,
): AsyncGenerator<unknown[], void> {
  let after: string | undefined;
  for (;;) {
    const page = { limit: pageSize, withValues, ...(after === undefined ? {} : { after }) };
    const found = await listValues(db, owner, prefix, page);
    const shown = ({ key, isSecret, value }: KeyValue) =>
      withValues ? { [`/${key}`]: isSecret ? masked : value!.toString() } : `/${key}`;
    if (found.length > 0) yield found.map(shown);
    if (found.length < pageSize) return;
    after = found.at(-1)?.key;
  }
}
