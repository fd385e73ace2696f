/** For operators: whom this service serves no more. A bar counts at once, for tokens of every kind and for what is under way. */
import type { Context } from 'hono';
import { addBar, endBarred, listBars, removeBar, type Bar } from '../../db/bars.ts';
import type { Database } from '../../db/connection.ts';
import type { BarList } from '../auth/bars.ts';
import { readOptionalJson } from '../body.ts';
import { badRequest } from '../errors.ts';
import { isObject } from '../masking.ts';
import { barOperations as docs } from '../openapi/others.ts';
import { resource, type App, type Guards } from '../resource.ts';

interface Dependencies {
  db: Database;
  wakeOutbox: () => void;
  bars: BarList;
}

const longestReason = 500;

export function barRoutes(app: App, guards: Guards, { db, wakeOutbox, bars }: Dependencies): void {
  resource(app, '/operators/bars', guards, {
    docs: { GET: docs.list },
    GET: async (c) => c.json(await listBars(db)),
  });
  resource(app, '/operators/bars/:kind{owners|groups}/:name{.+}', guards, {
    docs: { PUT: docs.add, DELETE: docs.remove },
    PUT: async (c) => {
      await addBar(db, { ...barOf(c), reason: await readReason(c), barredBy: c.get('identity').owner });
      bars.forget();
      const ended = await endBarred(db);
      wakeOutbox();
      return c.json({ ended });
    },
    DELETE: async (c) => {
      const bar = barOf(c);
      if (!(await removeBar(db, bar))) throw badRequest(`There is no bar of the ${bar.kind} ${bar.name}`);
      bars.forget();
      return c.json({});
    },
  });
}

function barOf(c: Context): Pick<Bar, 'kind' | 'name'> {
  return { kind: c.req.param('kind') === 'owners' ? 'owner' : 'group', name: c.req.param('name') ?? '' };
}

async function readReason(c: Context): Promise<string | null> {
  const body = await readOptionalJson(c);
  const reason = isObject(body) ? body['reason'] : undefined;
  if (reason === undefined || reason === null) return null;
  if (typeof reason === 'string' && reason.length <= longestReason) return reason;
  throw badRequest(`reason must be a text of at most ${longestReason} characters`);
}
