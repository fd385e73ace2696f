import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { StorageError } from './errors.ts';
import { folderPath, keyPiece, objectPath } from './key-path.ts';

/** Keys made to collide: few letters, slashes, dots, our own suffixes, parts around the length where names are cut. */
const keys = fc
  .array(
    fc.oneof(
      fc.constantFrom('a', 'b', '/', '//', '.', '..', '.o', '.d', '.c', '%', '%2E', '\0', '\n', 'é', '🚀', ' '),
      fc.constantFrom('x'.repeat(199), 'x'.repeat(200), 'x'.repeat(201), 'é'.repeat(33), 'é'.repeat(34)),
    ),
    { minLength: 1, maxLength: 8 },
  )
  .map((parts) => parts.join(''))
  .filter((key) => key !== '.' && key !== '..' && Buffer.byteLength(key) <= 1024);

const keyOf = (path: string[]) => Buffer.concat(path.map((name) => keyPiece(name)!.piece)).toString();

describe('the path of a key', () => {
  test('leads back to the key, so no two keys share one', () => {
    fc.assert(fc.property(keys, (key) => keyOf(objectPath(key)) === key));
  });

  test('stays in its folder and within what file systems take', () => {
    fc.assert(
      fc.property(keys, (key) => {
        for (const name of objectPath(key)) {
          expect(name).toMatch(/^[A-Za-z0-9._%-]*\.[cdo]$/);
          expect(name.length).toBeLessThanOrEqual(255);
        }
        expect(objectPath(key).join('/').length).toBeLessThan(3500);
      }),
    );
  });

  test('has no file where another key has a folder', () => {
    fc.assert(
      fc.property(keys, keys, (a, b) => {
        const [short, long] = [objectPath(a).join('/'), objectPath(b).join('/')];
        expect(long.startsWith(`${short}/`)).toBe(false);
      }),
    );
  });

  test('is found by a walk in the order of the keys', () => {
    fc.assert(
      fc.property(fc.uniqueArray(keys, { maxLength: 30 }), (all) => {
        const walked = walk(all.map(objectPath)).map(keyOf);
        expect(walked).toEqual([...all].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))));
      }),
    );
  });

  test('lies below the folder of every prefix that ends with a slash', () => {
    fc.assert(
      fc.property(keys, (key) => {
        const prefix = key.slice(0, key.lastIndexOf('/') + 1);
        expect(objectPath(key).slice(0, folderPath(prefix).length)).toEqual(folderPath(prefix));
      }),
    );
  });

  test.each(['', '.', '..', '\ud800', 'x'.repeat(1025), 'é'.repeat(513)])('does not exist for %j', (key) => {
    expect(() => objectPath(key)).toThrow(StorageError);
  });

  test('is not what a foreign file has', () => {
    for (const name of ['.DS_Store', 'lost+found', 'a', 'a b.o', '%2e.o', '.nfs0001', '']) {
      expect(keyPiece(name)).toBeUndefined();
    }
  });
});

/** What the store does on a disk: all names of a folder, sorted by what they add to the key, one after the other. */
function walk(paths: string[][]): string[][] {
  const names = [...new Set(paths.map((path) => path[0]!))];
  names.sort((a, b) => Buffer.compare(keyPiece(a)!.piece, keyPiece(b)!.piece));
  return names.flatMap((name) => {
    const below = paths.filter((path) => path[0] === name).map((path) => path.slice(1));
    return keyPiece(name)!.kind === 'object' ? [[name]] : walk(below).map((rest) => [name, ...rest]);
  });
}
