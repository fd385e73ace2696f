/**
 * After a new key was put in front: secret values are encrypted with it, so that the old one can go one day. Those of
 * descriptions go with their jobs instead.
 */
import type { Database } from '../db/connection.ts';
import { replaceValue, secretsUnderOtherKeys } from '../db/key-values.ts';
import type { Keyring } from '../secrets/keyring.ts';

const beginning = { owner: '', key: '' };

export interface RotationPage {
  rotated: number;
  /** Nobody can read them: their keys are not configured. They are stepped over. */
  unreadable: number;
  isMore: boolean;
}

/** @returns what goes on through all values, a page at each call, and after the last page from the beginning */
export function keyRotation(db: Database, keys: Keyring, pageSize = 500): () => Promise<RotationPage> {
  let after = beginning;
  return async () => {
    const page = await secretsUnderOtherKeys(db, keys.keyId, after, pageSize);
    let rotated = 0;
    for (const { owner, key, ...found } of page) {
      const plain = opened(keys, found);
      if (plain === undefined) continue;
      const { keyId, bytes } = keys.encrypt(plain);
      // Its owner may have changed it meanwhile: then it has the new key.
      await replaceValue(db, { owner, key }, { value: bytes, sealedWith: keyId }, found, 0);
      rotated += 1;
    }
    const last = page.at(-1);
    const isMore = last !== undefined && page.length === pageSize;
    after = isMore ? { owner: last.owner, key: last.key } : beginning;
    return { rotated, unreadable: page.length - rotated, isMore };
  };
}

function opened(keys: Keyring, { value, sealedWith }: { value: Buffer; sealedWith: string }): Buffer | undefined {
  try {
    return keys.decrypt({ keyId: sealedWith, bytes: value });
  } catch (error) {
    if (error instanceof Error && ['UnknownKey', 'Undecryptable'].includes(error.name)) return undefined;
    throw error;
  }
}
