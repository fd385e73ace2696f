/**
 * What Temporal keeps of arguments, results, heartbeats, signals, summaries and failures, encrypted. Whoever reaches the
 * server can write there, so what did not come encrypted under our keys is refused; and what was encrypted for one
 * workflow is refused in another, for whoever reads histories could copy it. Within one workflow a payload can still be
 * repeated, and cancelling or terminating needs none: the server has to guard against these. Costs some 50 us and 80 bytes
 * for each of a job's few payloads.
 */
import {
  defaultPayloadConverter,
  type Payload,
  type PayloadCodec,
  type SerializationContext,
} from '@temporalio/common';
import proto from '@temporalio/proto';
import { keyring, Undecryptable, UnknownKey } from '../secrets/keyring.ts';
import { refusal, unencrypted, unencryptedPayload } from './unencrypted.ts';

const { Payload: Proto } = proto.temporal.api.common.v1;

/** As in the samples of Temporal, so that its tools show it for what it is. */
const encoding = 'binary/encrypted';
const keyIdName = 'encryption-key-id';
/** Inside what is encrypted: the workflow it was encrypted for. */
const workflowIdName = 'prominence-workflow-id';

export interface CodecOptions {
  /** Pass what was not encrypted at all. Without keys it always passes. */
  acceptUnencrypted?: boolean;
  /** Decode what is refused to `unencrypted`, in place of throwing. */
  mark?: boolean;
}

export class UnencryptedPayload extends Error {
  override readonly name = unencryptedPayload;
}

/**
 * Without keys nothing is encrypted. Decoding throws UnknownKey whatever the options: that is repaired by giving the key,
 * and a worker that has yet to be restarted with it must not fail what the others started. What is refused throws
 * UnencryptedPayload or Undecryptable, or is marked.
 */
export function payloadCodec(keys: readonly string[], options: CodecOptions = {}): PayloadCodec {
  const ring = keyring(keys, 'temporal payloads');
  const encode = (payload: Payload, workflowId: string | undefined): Payload => {
    if (!ring) return payload;
    const bound = workflowId === undefined ? payload : withWorkflowId(payload, workflowId);
    const { keyId, bytes } = ring.encrypt(Proto.encode(bound).finish());
    return { metadata: { encoding: Buffer.from(encoding), [keyIdName]: Buffer.from(keyId) }, data: bytes };
  };
  const open = (payload: Payload, workflowId: string | undefined): Payload => {
    if (text(payload.metadata?.['encoding']) !== encoding) {
      if (!ring || options.acceptUnencrypted) return payload;
      throw new UnencryptedPayload(refusal('a payload'));
    }
    const keyId = text(payload.metadata?.[keyIdName]);
    if (!ring) throw new UnknownKey(keyId);
    const opened = Proto.decode(ring.decrypt({ keyId, bytes: payload.data ?? new Uint8Array() }));
    const boundTo = opened.metadata?.[workflowIdName];
    if (!boundTo) return opened;
    if (workflowId !== undefined && text(boundTo) !== workflowId)
      throw new UnencryptedPayload(refusal(`a payload of ${text(boundTo)}`));
    return withoutWorkflowId(opened);
  };
  const decode = (payload: Payload, workflowId: string | undefined): Payload => {
    try {
      return open(payload, workflowId);
    } catch (error) {
      const isRefused = error instanceof UnencryptedPayload || error instanceof Undecryptable;
      if (!isRefused || !options.mark) throw error;
      return defaultPayloadConverter.toPayload(unencrypted);
    }
  };
  return {
    encode: async (payloads, context) => payloads.map((payload) => encode(payload, workflowIdOf(context))),
    decode: async (payloads, context) => payloads.map((payload) => decode(payload, workflowIdOf(context))),
  };
}

/** Unknown to whom the SDK does not tell it (our codec endpoint): what is encrypted there is bound to no workflow. */
const workflowIdOf = (context: SerializationContext | undefined): string | undefined => context?.workflowId;

const withWorkflowId = (payload: Payload, workflowId: string): Payload => ({
  ...payload,
  metadata: { ...payload.metadata, [workflowIdName]: Buffer.from(workflowId) },
});

function withoutWorkflowId({ metadata, data }: Payload): Payload {
  const { [workflowIdName]: _, ...rest } = metadata ?? {};
  return { metadata: rest, ...(data ? { data } : {}) };
}

const text = (bytes: Uint8Array | null | undefined): string => Buffer.from(bytes ?? []).toString('utf8');
