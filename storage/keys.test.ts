import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
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
    expect(outputKey('u', 1, 'file', 'a/b.txt')).toBe('scratch/u/1/b.txt');
    expect(outputKey('u', 2, 'directory', 'a/plots/')).toBe('scratch/u/2/plots.tgz');
  });
});
