/**
 * What Temporal keeps of arguments, results, heartbeats, signals, summaries and failures, encrypted. What was not
 * encrypted by us passes through, so that histories from before there was a key, and clients without it, go on working.
 */
import type { Payload, PayloadCodec } from '@temporalio/common';
import proto from '@temporalio/proto';
import { keyring, UnknownKey } from '../secrets/keyring.ts';

const { Payload: Proto } = proto.temporal.api.common.v1;

/** As in the samples of Temporal, so that its tools show it for what it is. */
const encoding = 'binary/encrypted';
const keyIdName = 'encryption-key-id';

/** Without keys nothing is encrypted. Decoding throws UnknownKey or Undecryptable. */
export function payloadCodec(keys: readonly string[]): PayloadCodec {
  const ring = keyring(keys, 'temporal payloads');
  const encode = (payload: Payload): Payload => {
    if (!ring) return payload;
    const { keyId, bytes } = ring.encrypt(Proto.encode(payload).finish());
    return { metadata: { encoding: Buffer.from(encoding), [keyIdName]: Buffer.from(keyId) }, data: bytes };
  };
  const decode = (payload: Payload): Payload => {
    if (text(payload.metadata?.['encoding']) !== encoding) return payload;
    const keyId = text(payload.metadata?.[keyIdName]);
    if (!ring) throw new UnknownKey(keyId);
    return Proto.decode(ring.decrypt({ keyId, bytes: payload.data ?? new Uint8Array() }));
  };
  return {
    encode: async (payloads) => payloads.map(encode),
    decode: async (payloads) => payloads.map(decode),
  };
}

const text = (bytes: Uint8Array | null | undefined): string => Buffer.from(bytes ?? []).toString('utf8');
