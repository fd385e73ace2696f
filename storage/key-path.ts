/**
 * How a key becomes a path below a folder. A key is any text, so the path must not be able to leave the folder, every
 * key must have a path of its own, and a walk over the files must be possible in key order without reading them all.
 *
 * A key's parts between slashes become folders and the last one a file: `a/b` is `a.d/b.o`, so `a` (`a.o`) can stand
 * beside it, and `..` (`...d`) is a plain name. A part too long for a file name goes on in a folder: `<start>.c/<rest>.o`.
 */
import { StorageError } from './errors.ts';

/** As S3 has it. Together with three letters a byte it stays below the 4096 of a path. */
const maximumKeyBytes = 1024;
/** A name of this many letters or more is cut; file names end at 255. */
const maximumNameLength = 200;

/** @throws StorageError(invalidKey) for what no file can stand for */
export function checkKey(key: string): void {
  const problem =
    key === ''
      ? 'is empty'
      : // URLs lose such a path on their way, encoded or not.
        key === '.' || key === '..'
        ? 'is only dots'
        : /\p{Surrogate}/u.test(key)
          ? 'is not well-formed Unicode'
          : Buffer.byteLength(key) > maximumKeyBytes
            ? `is longer than ${maximumKeyBytes} bytes`
            : undefined;
  if (problem !== undefined) throw new StorageError('invalidKey', `the object key ${problem}: ${key.slice(0, 80)}`);
}

/** The names from the folder down to the object's file. @throws StorageError(invalidKey) */
export function objectPath(key: string): string[] {
  checkKey(key);
  const parts = key.split('/');
  const last = parts.pop()!;
  return [...parts.flatMap((part) => names(part, 'd')), ...names(last, 'o')];
}

/** The names down to the folder that holds all keys starting with `prefix`, which is empty or ends with a slash. */
export function folderPath(prefix: string): string[] {
  return prefix
    .split('/')
    .slice(0, -1)
    .flatMap((part) => names(part, 'd'));
}

/** What a file or folder found on a walk adds to the key; undefined for a name that is none of ours. */
export function keyPiece(name: string): { kind: 'object' | 'folder'; piece: Buffer } | undefined {
  const bytes = decode(name.slice(0, -2));
  if (bytes === undefined) return undefined;
  switch (name.slice(-2)) {
    case '.o':
      return { kind: 'object', piece: bytes };
    case '.d':
      return { kind: 'folder', piece: Buffer.concat([bytes, Buffer.from('/')]) };
    case '.c':
      return { kind: 'folder', piece: bytes };
    default:
      return undefined;
  }
}

/**
 * A part is cut after the byte that reaches the maximum, and goes on even if nothing is left. So no uncut name equals
 * or starts with a cut one, and everything below a folder is together in key order.
 */
function names(part: string, suffix: 'd' | 'o'): string[] {
  const found: string[] = [];
  let name = '';
  for (const byte of Buffer.from(part)) {
    name += encode(byte);
    if (name.length >= maximumNameLength) {
      found.push(`${name}.c`);
      name = '';
    }
  }
  return [...found, `${name}.${suffix}`];
}

function encode(byte: number): string {
  const letter = String.fromCharCode(byte);
  return /[A-Za-z0-9._-]/.test(letter) ? letter : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
}

function decode(name: string): Buffer | undefined {
  if (!/^([A-Za-z0-9._-]|%[0-9A-F]{2})*$/.test(name)) return undefined;
  return Buffer.from(
    name.replace(/%([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16))),
    'latin1',
  );
}
