/** Where bytes come through this API it counts them as they come. Others are looked at in the store (scheduler/settle-puts.ts). */
import type { Database } from '../db/connection.ts';
import { announcePut } from '../db/quotas.ts';
import type { StoredKind } from '../domain/stored-kind.ts';
import type { ObjectStore } from '../storage/object-store.ts';

export async function announceTo(
  store: ObjectStore,
  db: Database,
  put: { key: string; owner: string; kind: StoredKind },
): Promise<void> {
  if (!store.checksPuts) await announcePut(db, put);
}
