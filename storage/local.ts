/** The object store in a folder: our API serves the bytes behind signed URLs, so nothing else has to be installed. */
import { checkKey } from './key-path.ts';
import { ObjectFolder } from './object-folder.ts';
import type { ObjectStore } from './object-store.ts';
import { createUrlSigner, type UrlSigner } from './signed-url.ts';

export interface LocalStore extends ObjectStore {
  readonly kind: 'local';
  /** What the API's `/objects` route serves. */
  readonly folder: ObjectFolder;
  readonly signer: UrlSigner;
}

/** @param options.publicUrl where users and job machines reach the API that serves this folder */
export function createLocalStore(options: { directory: string; publicUrl: string; signingKey: string }): LocalStore {
  const folder = new ObjectFolder(options.directory);
  const signer = createUrlSigner(options);
  const expiry = (seconds: number) => Math.ceil(Date.now() / 1000 + seconds);
  return {
    kind: 'local',
    checksPuts: true,
    folder,
    signer,
    ensureReady: () => folder.ensureReady(),
    async presignGet(key, expiresSeconds) {
      checkKey(key);
      return signer.sign({ method: 'GET', key, expires: expiry(expiresSeconds) });
    },
    async presignPut(key, expiresSeconds, options = {}) {
      checkKey(key);
      return signer.sign({ method: 'PUT', key, expires: expiry(expiresSeconds), ...options });
    },
    head: (key) => folder.head(key),
    list: (prefix) => folder.list(prefix),
    delete: (key) => folder.delete(key),
  };
}
