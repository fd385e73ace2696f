import { defaultPayloadConverter } from '@temporalio/common';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Undecryptable } from '../secrets/keyring.ts';
import { payloadCodec, UnencryptedPayload } from './codec.ts';
import { isUnencrypted } from './unencrypted.ts';

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

  const plain = [payload({ jobId: 7 }), payload(undefined), {}];

  test('without keys passes on what nobody encoded', async () => {
    expect(await payloadCodec([]).decode(plain)).toEqual(plain);
    expect(await payloadCodec([]).encode(plain)).toEqual(plain);
  });

  test('with keys refuses what nobody encoded: throws, marks, or passes it where that is asked for', async () => {
    for (const each of plain) await expect(payloadCodec([first]).decode([each])).rejects.toThrow(UnencryptedPayload);
    const marked = await payloadCodec([first], { mark: true }).decode(plain);
    expect(marked.map((each) => isUnencrypted(value(each)))).toEqual([true, true, true]);
    expect(await payloadCodec([first], { acceptUnencrypted: true }).decode(plain)).toEqual(plain);
  });

  test('refuses what another workflow was told, or somebody made to look encrypted', async () => {
    const [ours] = await payloadCodec([first]).encode([payload({ jobId: 7 })], workflow('job-7'));
    const [free] = await payloadCodec([first]).encode([payload('by an operator')]);
    const forged = { metadata: ours!.metadata!, data: Buffer.from('made up, and longer than a tag and a nonce') };
    for (const acceptUnencrypted of [true, false]) {
      const codec = payloadCodec([first], { acceptUnencrypted });
      const marking = payloadCodec([first], { acceptUnencrypted, mark: true });
      for (const context of [workflow('job-7'), activity('job-7'), undefined]) {
        expect((await codec.decode([ours!], context)).map(value)).toEqual([{ jobId: 7 }]);
        expect((await codec.decode([free!], context)).map(value)).toEqual(['by an operator']);
      }
      for (const context of [workflow('job-8'), activity('job-8')]) {
        await expect(codec.decode([ours!], context)).rejects.toThrow(UnencryptedPayload);
        expect(isUnencrypted(value((await marking.decode([ours!], context))[0]!))).toBe(true);
      }
      await expect(codec.decode([forged])).rejects.toThrow(Undecryptable);
      expect(isUnencrypted(value((await marking.decode([forged]))[0]!))).toBe(true);
    }
  });

  test('keeps what a payload says of itself', async () => {
    const given = { metadata: { encoding: Buffer.from('binary/plain'), x: Buffer.from('y') }, data: Buffer.from('z') };
    const codec = payloadCodec([first]);
    const [back] = await codec.decode(await codec.encode([given], workflow('w')), workflow('w'));
    const { encoding, x, ...rest } = back!.metadata!;
    expect([text(encoding!), text(x!), rest, text(back!.data!)]).toEqual(['binary/plain', 'y', {}, 'z']);
  });

  test('knows the keys of before, and says which one it lacks, however it is used', async () => {
    const encoded = await payloadCodec([first]).encode([payload('x')]);
    expect((await payloadCodec([second, first]).decode(encoded)).map(value)).toEqual(['x']);
    for (const options of [{}, { mark: true }]) {
      await expect(payloadCodec([second], options).decode(encoded)).rejects.toThrow(/which is not among secrets.keys/);
      await expect(payloadCodec([], options).decode(encoded)).rejects.toThrow(/which is not among secrets.keys/);
    }
  });
});

const workflow = (workflowId: string) => ({ type: 'workflow', namespace: 'default', workflowId }) as const;
const activity = (workflowId: string) =>
  ({ type: 'activity', namespace: 'default', workflowId, activityId: '1', isLocal: false }) as const;
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
