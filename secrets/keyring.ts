/**
 * Encryption with the installation's keys: AES-256-GCM, the first key encrypts, all decrypt. What is encrypted for one
 * purpose can't be decrypted for another.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';

export type Purpose = 'stored secrets' | 'secret values' | 'temporal payloads';

export interface Encrypted {
  /** Says which key decrypts; tells nothing of the key. */
  keyId: string;
  bytes: Buffer;
}

export interface Keyring {
  /** Of the key that encrypts. */
  readonly keyId: string;
  encrypt(plain: Uint8Array): Encrypted;
  /** @throws UnknownKey, or Undecryptable for bytes that were not encrypted so */
  decrypt(encrypted: { keyId: string; bytes: Uint8Array }): Buffer;
}

/** Encrypted with a key that is not configured (any more). */
export class UnknownKey extends Error {
  override readonly name = 'UnknownKey';
  constructor(keyId: string) {
    super(`encrypted with the key ${keyId}, which is not among secrets.keys (PROMINENCE_SECRETS_KEY)`);
  }
}

export class Undecryptable extends Error {
  override readonly name = 'Undecryptable';
}

const ivBytes = 12;
const tagBytes = 16;

/** @param keys any texts of enough entropy, the current one first; undefined without keys, when nothing is encrypted */
export function keyring(keys: readonly string[], purpose: Purpose): Keyring | undefined {
  const derived = keys.map((key) => ({
    keyId: derive(key, 'key id', 6).toString('hex'),
    key: derive(key, purpose, 32),
  }));
  const [current] = derived;
  if (!current) return undefined;
  const byId = new Map(derived.map(({ keyId, key }) => [keyId, key]));
  return {
    keyId: current.keyId,
    encrypt(plain) {
      const iv = randomBytes(ivBytes);
      const cipher = createCipheriv('aes-256-gcm', current.key, iv);
      const text = Buffer.concat([cipher.update(plain), cipher.final()]);
      return { keyId: current.keyId, bytes: Buffer.concat([iv, cipher.getAuthTag(), text]) };
    },
    decrypt({ keyId, bytes }) {
      const key = byId.get(keyId);
      if (!key) throw new UnknownKey(keyId);
      try {
        const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, ivBytes), { authTagLength: tagBytes });
        decipher.setAuthTag(bytes.subarray(ivBytes, ivBytes + tagBytes));
        return Buffer.concat([decipher.update(bytes.subarray(ivBytes + tagBytes)), decipher.final()]);
      } catch (cause) {
        throw new Undecryptable('not encrypted with this key, or changed since', { cause });
      }
    },
  };
}

function derive(key: string, purpose: string, bytes: number): Buffer {
  return Buffer.from(hkdfSync('sha256', key, '', `prominence ${purpose}`, bytes));
}
