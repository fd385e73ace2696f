/** For every client and worker that speaks to our Temporal, ours and those of users of its SDK: all need the same keys. */
import { fileURLToPath } from 'node:url';
import type { DataConverter } from '@temporalio/common';
import { payloadCodec, type CodecOptions } from './codec.ts';

/**
 * For clients: what others than we wrote there throws UnencryptedPayload when it is read.
 * @param keys `secrets.keys` of the configuration. Without any, failures stay in plain words too
 */
export const dataConverter = (keys: readonly string[]): DataConverter => converterOf(keys, {});

/** For workers, in which a payload must not throw: `workflows/interceptors.ts` and `activities/encrypted.ts` refuse it. */
export const workerDataConverter = (
  keys: readonly string[],
  { acceptUnencrypted }: { acceptUnencrypted: boolean },
): DataConverter => converterOf(keys, { acceptUnencrypted, mark: true });

const converterOf = (keys: readonly string[], options: CodecOptions): DataConverter => ({
  payloadCodecs: [payloadCodec(keys, options)],
  ...(keys.length > 0 ? { failureConverterPath } : {}),
});

const failureConverterPath = fileURLToPath(new URL('./failure-converter.cjs', import.meta.url));
