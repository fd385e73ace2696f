/** Values of the key-value store on their way in and out: the one place where those that are secret are encrypted and read. */
import { timingSafeEqual } from 'node:crypto';
import type { Database } from '../db/connection.ts';
import { getValue, replaceValue, type StoredValue } from '../db/key-values.ts';
import type { Sealing } from '../secrets/sealing.ts';
import { Undecryptable, UnknownKey } from '../secrets/keyring.ts';
import { badRequest } from './errors.ts';

interface Dependencies {
  db: Database;
  sealing: Sealing;
}

/** What a key must be for its new value to be stored. */
export type Expectation = { kind: 'any' } | { kind: 'absent' } | { kind: 'value'; value: Buffer };

/** `unsealable`: it is to be secret, and there is no key. */
export type SetAnswer = 'set' | 'unexpected' | 'full' | 'unsealable';

/**
 * Of writers who expect the same, one wins. A secret stays one unless told otherwise.
 * @param change.asSecret undefined: as it is
 * @throws ApiError 400 where the value that must be compared can't be decrypted
 */
export async function setValue(
  { db, sealing }: Dependencies,
  ref: { owner: string; key: string },
  { value, asSecret, expected }: { value: Buffer; asSecret: boolean | undefined; expected: Expectation },
  mostKeys: number,
): Promise<SetAnswer> {
  for (;;) {
    const found = await getValue(db, ref);
    if (expected.kind === 'absent' && found) return 'unexpected';
    if (expected.kind === 'value' && !(found && isEqual(plainValue(sealing, found), expected.value)))
      return 'unexpected';
    const isSecret = asSecret ?? (found !== undefined && found.sealedWith !== null);
    if (isSecret && !sealing.values) return 'unsealable';
    const stored = isSecret ? sealedValue(sealing, value) : { value, sealedWith: null };
    // Changed in between: the new state is judged.
    const answer = await replaceValue(db, ref, stored, found, mostKeys);
    if (answer !== 'changed') return answer;
  }
}

/** @throws ApiError 400 for a secret whose key was taken out of the configuration */
export function plainValue({ values }: Sealing, { value, sealedWith }: StoredValue): Buffer {
  if (sealedWith === null) return value;
  try {
    if (!values) throw new UnknownKey(sealedWith);
    return values.decrypt({ keyId: sealedWith, bytes: value });
  } catch (error) {
    if (!(error instanceof UnknownKey || error instanceof Undecryptable)) throw error;
    throw badRequest('This server has no key any more that could decrypt the value (secrets.keys): set it again');
  }
}

function sealedValue({ values }: Sealing, plain: Buffer): StoredValue {
  const { keyId, bytes } = values!.encrypt(plain);
  return { value: bytes, sealedWith: keyId };
}

const isEqual = (a: Buffer, b: Buffer): boolean => a.length === b.length && timingSafeEqual(a, b);
