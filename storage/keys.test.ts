import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkKey } from './key-path.ts';
import { outputKey, uploadKey } from './keys.ts';

describe('keys of the object store', () => {
  it('no area of a user or a group contains that of another, whatever the names (property)', () => {
    const name = fc.string({ minLength: 1 }).filter((text) => !/\p{Surrogate}/u.test(text));
    fc.assert(
      fc.property(name, name, (ann, bob) => {
        fc.pre(ann !== bob);
        expect(uploadKey.own(ann, '').startsWith(uploadKey.own(bob, ''))).toBe(false);
        expect(uploadKey.own(ann, '').startsWith(uploadKey.group({ group: bob, name: '' }))).toBe(false);
        expect(uploadKey.group({ group: ann, name: '' }).startsWith(uploadKey.group({ group: bob, name: '' }))).toBe(
          false,
        );
      }),
    );
  });

  it('outputs of two attempts never meet', () => {
    expect(outputKey('u', 1, 'file', 'a/b.txt')).toMatch(/^scratch\/u\/1\/[0-9a-f]{16}\/b\.txt$/);
    expect(outputKey('u', 2, 'directory', 'a/plots/')).toMatch(/^scratch\/u\/2\/[0-9a-f]{16}\/plots\.tgz$/);
  });

  it('no two outputs of a job meet, whatever they end with (property)', () => {
    const kind = fc.constantFrom('file', 'directory');
    const part = fc.constantFrom('a', 'b', 'x', 'x.tgz', '*.csv', '..', '');
    const name = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));
    fc.assert(
      fc.property(kind, name, kind, name, (oneKind, one, otherKind, other) => {
        fc.pre(oneKind !== otherKind || one !== other);
        expect(outputKey('u', 1, oneKind, one)).not.toBe(outputKey('u', 1, otherKind, other));
      }),
    );
  });

  it('an output has a key that the store takes, however long its pattern is', () => {
    for (const name of ['x'.repeat(2000), `${'x/'.repeat(999)}y`, 'é'.repeat(1000)]) {
      expect(() => checkKey(outputKey('00000000-0000-4000-8000-000000000000', 100, 'directory', name))).not.toThrow();
    }
  });
});
