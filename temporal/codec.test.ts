import { defaultPayloadConverter } from '@temporalio/common';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { payloadCodec } from './codec.ts';

const [first, second] = ['a'.repeat(32), 'b'.repeat(32)] as [string, string];
const payload = (value: unknown) => defaultPayloadConverter.toPayload(value);
const value = (from: ReturnType<typeof payload>) => defaultPayloadConverter.fromPayload<unknown>(from);

describe('the payload codec', () => {
  test('hides what it encodes, and gives it back', async () => {
    const codec = payloadCodec([first]);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.jsonValue()), async (values) => {
        const encoded = await codec.encode(values.map(payload));
        expect(encoded.map(({ metadata }) => Buffer.from(metadata!['encoding']!).toString())).toEqual(
          values.map(() => 'binary/encrypted'),
        );
        expect((await codec.decode(encoded)).map(value)).toEqual(JSON.parse(JSON.stringify(values)));
      }),
      { numRuns: 50 },
    );
    const [encoded] = await codec.encode([payload('hush-do-not-tell')]);
    expect(Buffer.from(encoded!.data!).toString('latin1')).not.toContain('hush');
  });

  test('passes on what nobody encoded', async () => {
    const plain = [payload({ jobId: 7 }), payload(undefined), {}];
    expect(await payloadCodec([first]).decode(plain)).toEqual(plain);
    expect(await payloadCodec([]).encode(plain)).toEqual(plain);
  });

  test('knows the keys of before, and says which one it lacks', async () => {
    const encoded = await payloadCodec([first]).encode([payload('x')]);
    expect((await payloadCodec([second, first]).decode(encoded)).map(value)).toEqual(['x']);
    await expect(payloadCodec([second]).decode(encoded)).rejects.toThrow(/which is not among secrets.keys/);
    await expect(payloadCodec([]).decode(encoded)).rejects.toThrow(/which is not among secrets.keys/);
  });
});
