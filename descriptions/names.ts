/** Names of jobs and workflows (docs/wire.md 3.2, 4.1). */
import type { ObjectReader } from './reader.ts';
import { lengthOf, longestName, text } from './values.ts';

/** '' when there is none. */
export function readName(read: ObjectReader, what: 'job' | 'workflow'): string {
  const name = read.field('name', text(`${what} name must be a string`)) ?? '';
  if (lengthOf(name) > longestName) {
    read.issue('name', `${what} name must be less than ${longestName} characters in length`);
  } else if (Buffer.byteLength(name) > longestName) {
    // It becomes a part of entries of an index, where bytes count.
    read.ownIssue('name', `${what} name must not be longer than ${longestName} bytes`);
  }
  if (name !== '' && !/^[a-zA-Z0-9\-_\s/.]+$/.test(name)) read.issue('name', `invalid ${what} name`);
  return name;
}
