/** The sum of an object's bytes as they are stored, for stores that don't check what a signed PUT brings. */
import { createHash } from 'node:crypto';
import { StorageError } from './errors.ts';
import type { ObjectStore } from './object-store.ts';

/** Reads the whole object as a stream. @returns hex; undefined when there is no such object */
export async function objectSha256(store: ObjectStore, key: string): Promise<string | undefined> {
  const answer = await fetch(await store.presignGet(key, 300));
  if (answer.status === 404) {
    await answer.body?.cancel();
    return undefined;
  }
  if (!answer.ok || answer.body === null) {
    await answer.body?.cancel();
    throw new StorageError('unavailable', `the object store answered ${answer.status} to a read of ${key}`);
  }
  const hash = createHash('sha256');
  for await (const chunk of answer.body) hash.update(chunk);
  return hash.digest('hex');
}
