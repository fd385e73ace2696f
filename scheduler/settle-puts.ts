/**
 * A signed PUT of S3 can't bound its bytes, and we do not see them come: what was announced is looked at until nothing can
 * come any more. What is larger than one upload may be is deleted, the rest is counted as its owner's.
 */
import type { Database } from '../db/connection.ts';
import { forgetObjects, pendingPuts, recordObject, settlePut } from '../db/quotas.ts';
import type { StoredKind } from '../domain/stored-kind.ts';
import { forgetUpload } from '../db/uploads.ts';
import type { ObjectStore } from '../storage/object-store.ts';

/** Two hours of the longest URL, and as long again for a body that began at its end. */
const overAfterSeconds = 4 * 3600;
const atATime = 200;

export interface Settled {
  looked: number;
  /** Too large. */
  deleted: string[];
}

export async function settlePuts(
  { db, store }: { db: Database; store: ObjectStore },
  mostBytes: Record<StoredKind, number>,
): Promise<Settled> {
  const puts = await pendingPuts(db, overAfterSeconds, atATime);
  const deleted: string[] = [];
  for (const { key, owner, kind, isOver } of puts) {
    const object = await store.head(key);
    if (object && object.sizeBytes > mostBytes[kind]) {
      await store.delete(key);
      await forgetUpload(db, key);
      await forgetObjects(db, [key]);
      deleted.push(key);
    } else if (object) await recordObject(db, { key, owner, kind, size: object.sizeBytes });
    if (isOver) await settlePut(db, key);
  }
  return { looked: puts.length, deleted };
}
