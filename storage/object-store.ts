/** Where uploads and outputs live. Bytes go to and from it by signed URLs; our processes only sign, list and delete. */

import type { Grantee } from './signed-url.ts';

export interface ObjectStore {
  /** Whether a PUT of other bytes than those announced, or of more, is always refused: not every server of S3 looks at it. */
  readonly checksPuts: boolean;
  /** Make the bucket or folder if it is missing. @throws when the store can't be used, saying why */
  ensureReady(): Promise<void>;
  presignGet(key: string, expiresSeconds: number): Promise<string>;
  /**
   * A URL that takes one PUT of the bytes and answers 200. With `sha256` (hex) other bytes are refused, and more than
   * `mostBytes`: see `checksPuts`.
   */
  presignPut(key: string, expiresSeconds: number, options?: PutOptions): Promise<string>;
  /** Undefined when there is no such object. */
  head(key: string): Promise<StoredObject | undefined>;
  /** In key order. `prefix` is a plain string prefix: end it with `/` to mean a folder. */
  list(prefix: string): AsyncIterable<StoredObject>;
  /** Also succeeds when there is nothing. */
  delete(key: string): Promise<void>;
}

export interface PutOptions {
  sha256?: string;
  mostBytes?: number;
  /** Whose they are counted as. */
  by?: Grantee;
}

export interface StoredObject {
  key: string;
  sizeBytes: number;
  lastModified: Date;
}
