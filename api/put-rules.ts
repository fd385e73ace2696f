/** What the API does beside taking the bytes of a signed PUT: nobody who is barred puts any, and they are counted. */
import type { Database } from '../db/connection.ts';
import { recordObject } from '../db/quotas.ts';
import type { BarList } from './auth/bars.ts';
import type { PutRules } from './routes/objects.ts';

export function putRules(db: Database, bars: BarList): PutRules {
  return {
    refuse: (who) => bars.refuse(who),
    record: ({ key, by: { owner, kind }, size }) => recordObject(db, { key, owner, kind, size }),
  };
}
