/** What was used in a period, by user and by group (docs/wire.md 2.7). Others are seen only in groups of one's own. */
import type { Context } from 'hono';
import type { Database } from '../../db/connection.ts';
import { usageOfGroups, usageOfMembers, usageOfOwner, type Period, type Usage } from '../../db/usage.ts';
import { badRequest } from '../errors.ts';
import { accountingOperation } from '../openapi/others.ts';
import { resource, type App, type Guards } from '../resource.ts';

export function accountingRoutes(app: App, guards: Guards, { db }: { db: Database }): void {
  resource(app, '/accounting', guards, {
    docs: { GET: accountingOperation },
    jobToken: { GET: 'reads' },
    GET: async (c) => {
      const { owner, groups } = c.get('identity');
      const period = readPeriod(c);
      const byGroup = c.req.query('by_group') === 'true';
      const allUsers = c.req.query('show_all_users') === 'true';
      const users = new Map<string, Usage>([
        ...(allUsers ? await usageOfMembers(db, groups, period) : []),
        // One's own is all of it, also what was for no group.
        ...(allUsers || !byGroup ? await usageOfOwner(db, owner, period) : []),
      ]);
      const ofGroups = byGroup ? await usageOfGroups(db, groups, period) : new Map<string, Usage>();
      return c.json({ usage: { users: Object.fromEntries(users), groups: Object.fromEntries(ofGroups) } });
    },
  });
}

/** @throws ApiError 400 */
function readPeriod(c: Context): Period {
  const period = { start: readDay(c.req.query('start'), 'Start'), end: readDay(c.req.query('end'), 'End') };
  if (period.start > period.end) {
    throw badRequest(`Start date must not be after the end date: ${period.start} is after ${period.end}`);
  }
  return period;
}

function readDay(text: string | undefined, which: 'Start' | 'End'): string {
  if (!text) throw badRequest(`${which} date must be provided`);
  if (!isDay(text)) throw badRequest(`${which} date must be a day as YYYY-MM-DD, not "${text}"`);
  return text;
}

function isDay(text: string): boolean {
  if (!/^\d{4}-\d\d-\d\d$/.test(text) || text.startsWith('0000')) return false;
  const day = new Date(text);
  // A day that no calendar has may be read as one of the next month.
  return !Number.isNaN(day.getTime()) && day.toISOString().startsWith(text);
}
