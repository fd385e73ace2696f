/** Whether this server can do its work, for load balancers: no authentication, no details. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Database } from '../../db/connection.ts';
import { healthOperation } from '../openapi/others.ts';
import { resource, type App, unguarded } from '../resource.ts';

const patienceMs = 5000;

export function healthRoutes(app: App, deps: { db: Database }): void {
  resource(app, '/health', unguarded, {
    docs: { GET: healthOperation },
    GET: async (c) => {
      const isAlive = await answers(deps.db);
      return isAlive ? c.body(null, 204) : c.json({ errors: 'DATABASE' }, 409);
    },
  });
}

/** A job table that can be read: a database without our tables is of no use either. */
async function answers(db: Database): Promise<boolean> {
  const timer = new AbortController();
  const tooLate = pause(patienceMs, false, { signal: timer.signal, ref: false }).catch(() => false);
  const query = db.$client`select 1 from jobs limit 1`.then(
    () => true,
    () => false,
  );
  const isAlive = await Promise.race([query, tooLate]);
  timer.abort();
  return isAlive;
}
