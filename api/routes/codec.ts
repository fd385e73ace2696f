/**
 * The codec server of the Temporal UI and CLI: payloads are decrypted for operators who look at a workflow, and encrypted
 * when they signal or start one. Nothing is kept, and nothing of a payload is ever logged.
 */
import type { Context } from 'hono';
import * as v from 'valibot';
import type { PayloadCodec } from '@temporalio/common';
import { Undecryptable, UnknownKey } from '../../secrets/keyring.ts';
import { readJson } from '../body.ts';
import { badRequest } from '../errors.ts';
import { codecOperation } from '../openapi/others.ts';
import { resource, type App, type Guards } from '../resource.ts';

const base64 = v.pipe(v.string(), v.base64());
const payloadsSchema = v.object({
  payloads: v.array(v.object({ metadata: v.optional(v.record(v.string(), base64), {}), data: v.optional(base64, '') })),
});
type Payloads = Awaited<ReturnType<PayloadCodec['decode']>>;

export function codecRoutes(app: App, guards: Guards, codec: PayloadCodec): void {
  resource(app, '/codec/encode', guards, {
    docs: { POST: codecOperation('Encode') },
    POST: (c) => answer(c, (payloads) => codec.encode(payloads)),
  });
  resource(app, '/codec/decode', guards, {
    docs: { POST: codecOperation('Decode') },
    POST: (c) => answer(c, (payloads) => codec.decode(payloads)),
  });
}

async function answer(c: Context, convert: (payloads: Payloads) => Promise<Payloads>): Promise<Response> {
  const sent = v.safeParse(payloadsSchema, await readJson(c));
  if (!sent.success) throw badRequest('The request body must be {"payloads": [{"metadata", "data"}]} in base64');
  const payloads = sent.output.payloads.map(({ metadata, data }) => ({
    metadata: Object.fromEntries(Object.entries(metadata).map(([key, text]) => [key, Buffer.from(text, 'base64')])),
    data: Buffer.from(data, 'base64'),
  }));
  return c.json({ payloads: (await converted(payloads, convert)).map(asJson) }, 200, { 'Cache-Control': 'no-store' });
}

async function converted(payloads: Payloads, convert: (payloads: Payloads) => Promise<Payloads>): Promise<Payloads> {
  try {
    return await convert(payloads);
  } catch (error) {
    if (error instanceof UnknownKey || error instanceof Undecryptable)
      throw badRequest(`A payload is ${error.message}`);
    throw error;
  }
}

function asJson({ metadata, data }: Payloads[number]): Record<string, unknown> {
  const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');
  return {
    metadata: Object.fromEntries(Object.entries(metadata ?? {}).map(([key, bytes]) => [key, text(bytes)])),
    data: text(data ?? new Uint8Array()),
  };
}
