/**
 * Descriptions as they are stored: their secrets, and nothing else of them, encrypted in place, so that all the rest can
 * be queried. They are opened where they are used and nowhere before.
 */
import { changeSecrets } from '../domain/secret-fields.ts';
import { keyring, UnknownKey, type Keyring } from './keyring.ts';

export interface Sealing {
  /** Of a job or a workflow, before it is stored. */
  seal<T>(document: T): T;
  /** What was sealed, and what was stored while no key was configured. @throws UnknownKey, Undecryptable */
  open<T>(document: T): T;
  /** For values that users store as secret. Absent without keys: what was asked to be encrypted is never stored otherwise. */
  values?: Keyring;
}

const sealed = /^sealed:([0-9a-f]+):([A-Za-z0-9_-]+)$/;

/** Without keys documents are stored as they are. */
export function sealing(keys: readonly string[]): Sealing {
  const ring = keyring(keys, 'stored secrets');
  const values = keyring(keys, 'secret values');
  return {
    ...(values ? { values } : {}),
    seal(document) {
      if (!ring) return document;
      return changeSecrets(document, (secret) => {
        const { keyId, bytes } = ring.encrypt(Buffer.from(JSON.stringify(secret), 'utf8'));
        return `sealed:${keyId}:${bytes.toString('base64url')}`;
      });
    },
    open(document) {
      return changeSecrets(document, (value) => {
        const [, keyId, text] = (typeof value === 'string' && sealed.exec(value)) || [];
        if (keyId === undefined || text === undefined) return value;
        if (!ring) throw new UnknownKey(keyId);
        return JSON.parse(ring.decrypt({ keyId, bytes: Buffer.from(text, 'base64url') }).toString('utf8')) as unknown;
      });
    },
  };
}
