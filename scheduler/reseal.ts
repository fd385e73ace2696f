/**
 * After a new key was put in front: secret values are encrypted with it, so that the old one can go one day. Those of
 * descriptions go with their jobs instead.
 */
import type { Database } from '../db/connection.ts';
import { replaceValue, secretsToReseal } from '../db/key-values.ts';
import type { Keyring } from '../secrets/keyring.ts';

/** @returns of at most `most` how many were encrypted anew, and how many nobody can read: their keys are not configured */
export async function resealValues(
  db: Database,
  keys: Keyring,
  most = 500,
): Promise<{ resealed: number; unreadable: number }> {
  const done = { resealed: 0, unreadable: 0 };
  for (const { owner, key, ...found } of await secretsToReseal(db, keys.keyId, most)) {
    const plain = opened(keys, found);
    if (plain === undefined) {
      done.unreadable += 1;
      continue;
    }
    const { keyId, bytes } = keys.encrypt(plain);
    // Its owner may have changed it meanwhile: then it has the new key.
    await replaceValue(db, { owner, key }, { value: bytes, sealedWith: keyId }, found, 0);
    done.resealed += 1;
  }
  return done;
}

function opened(keys: Keyring, { value, sealedWith }: { value: Buffer; sealedWith: string }): Buffer | undefined {
  try {
    return keys.decrypt({ keyId: sealedWith, bytes: value });
  } catch (error) {
    if (error instanceof Error && ['UnknownKey', 'Undecryptable'].includes(error.name)) return undefined;
    throw error;
  }
}
