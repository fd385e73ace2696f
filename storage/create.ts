/** The store the configuration asks for. */
import type { StorageConfig } from '../config/config.ts';
import { createLocalStore, type LocalStore } from './local.ts';
import { createS3Store, type S3Store } from './s3.ts';

/**
 * Opens nothing yet: call `ensureReady`. A store of kind `local` needs the API's `/objects` route, which takes it.
 * @param served where the API is reached, and the secret its URLs are signed with; S3 has its own of both
 */
export function createObjectStore(
  config: StorageConfig,
  served: { publicUrl: string; signingKey: string },
): LocalStore | S3Store {
  switch (config.kind) {
    case 'local':
      return createLocalStore({ directory: config.directory, ...served });
    case 's3':
      return createS3Store(config);
  }
}
