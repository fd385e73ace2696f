import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { keyring, Undecryptable, UnknownKey } from './keyring.ts';
import { sealing } from './sealing.ts';

const [first, second] = ['a'.repeat(32), 'b'.repeat(32)] as [string, string];

const job = {
  name: 'job',
  tasks: [
    { image: 'reg/x', imagePullCredential: { username: 'u', token: 'hush-1' }, env: { token: 'seen' } },
    { image: 'y' },
  ],
  storage: { type: 'webdav', mountpoint: '/m', webdav: { url: 'https://x', username: 'hush-2', password: 'hush-3' } },
  notifications: [{ event: 'jobFinished', type: 'webhook', url: 'https://x', secret: 'hush-4' }],
};
const workflow = { name: 'w', jobs: [job], notifications: [{ type: 'webhook', secret: 'hush-5' }] };

describe('sealing', () => {
  test('hides every secret of a job and of a workflow, and only those', () => {
    const text = JSON.stringify(sealing([first]).seal(workflow));
    expect(text).not.toContain('hush');
    expect(sealing([first]).seal(workflow)).toMatchObject({
      name: 'w',
      jobs: [{ tasks: [{ imagePullCredential: { username: 'u' }, env: { token: 'seen' } }, { image: 'y' }] }],
    });
  });

  test('is undone by opening, with the key that sealed or a list that has it', () => {
    const stored = sealing([first]).seal(workflow);
    expect(sealing([first]).open(stored)).toEqual(workflow);
    expect(sealing([second, first]).open(stored)).toEqual(workflow);
    const rotated = sealing([second, first]).seal(workflow);
    expect(sealing([second]).open(rotated)).toEqual(workflow);
    expect(() => sealing([second]).open(stored)).toThrow(UnknownKey);
    expect(() => sealing([]).open(stored)).toThrow(/PROMINENCE_SECRETS_KEY/);
  });

  test('leaves what was stored without a key readable', () => {
    expect(sealing([]).seal(job)).toBe(job);
    expect(sealing([first]).open(job)).toEqual(job);
  });

  test('takes a secret that looks sealed as any other', () => {
    const { open, seal } = sealing([first]);
    const stolen = seal(job).tasks[0]!.imagePullCredential!.token;
    const mine = { tasks: [{ imagePullCredential: { username: 'me', token: stolen } }] };
    expect(open(seal(mine))).toEqual(mine);
    expect(open({ tasks: [{ cmd: stolen }] })).toEqual({ tasks: [{ cmd: stolen }] });
  });

  test('notices a changed ciphertext', () => {
    const { open } = sealing([first]);
    const { tasks } = sealing([first]).seal(job);
    const token = tasks[0]!.imagePullCredential!.token;
    const changed = token.slice(0, -4) + (token.endsWith('AAAA') ? 'BBBB' : 'AAAA');
    expect(() => open({ tasks: [{ imagePullCredential: { username: 'u', token: changed } }] })).toThrow(Undecryptable);
  });

  test('never throws and is undone, whatever the document is', () => {
    const { open, seal } = sealing([first]);
    const anything = fc.jsonValue();
    const document = fc.record(
      {
        tasks: fc.oneof(
          anything,
          fc.array(fc.record({ imagePullCredential: fc.oneof(anything, fc.record({ token: anything })) })),
        ),
        storage: fc.oneof(anything, fc.record({ token: anything, onedata: fc.record({ password: anything }) })),
        notifications: fc.oneof(anything, fc.array(fc.record({ secret: anything }))),
        jobs: anything,
      },
      { requiredKeys: [] },
    );
    // As documents come: JSON knows no -0.
    const given = fc.oneof(anything, document).map((value) => JSON.parse(JSON.stringify(value)) as unknown);
    fc.assert(fc.property(given, (value) => void expect(open(seal(value))).toEqual(value)));
  });
});

test('what is encrypted for one purpose can not be decrypted for another', () => {
  const encrypted = keyring([first], 'stored secrets')!.encrypt(Buffer.from('x'));
  expect(() => keyring([first], 'temporal payloads')!.decrypt(encrypted)).toThrow(Undecryptable);
});
