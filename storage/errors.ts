/** What can go wrong with the object store, for callers that act on it. */

export type StorageErrorCode =
  /** The store can't be reached, or refuses us. */
  | 'unavailable'
  /** No store can hold an object under this key. */
  | 'invalidKey'
  /** The bytes are not those that were announced: another sum, or another length. */
  | 'bodyMismatch'
  /** More bytes than one may put. */
  | 'tooLarge'
  /** The store is full. */
  | 'full';

export class StorageError extends Error {
  override readonly name = 'StorageError';
  readonly code: StorageErrorCode;
  constructor(code: StorageErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
