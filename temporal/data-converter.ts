/** For every client and worker that speaks to our Temporal, ours and those of users of its SDK: all need the same keys. */
import { fileURLToPath } from 'node:url';
import type { DataConverter } from '@temporalio/common';
import { payloadCodec } from './codec.ts';

/** @param keys `secrets.keys` of the configuration. Without any, failures stay in plain words too */
export const dataConverter = (keys: readonly string[]): DataConverter => ({
  payloadCodecs: [payloadCodec(keys)],
  ...(keys.length > 0 ? { failureConverterPath } : {}),
});

const failureConverterPath = fileURLToPath(new URL('./failure-converter.cjs', import.meta.url));
