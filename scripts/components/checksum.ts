/** What is downloaded and run is what was published: nothing of it is kept or run before its checksum was compared. */
import { createHash } from 'node:crypto';

/** @returns the bytes. @throws when they are others than those that the checksum (SHA-256 in hexadecimal) is of */
export function verified(name: string, bytes: Buffer, sha256: string): Buffer {
  const found = createHash('sha256').update(bytes).digest('hex');
  if (found !== sha256) throw new Error(`${name} has the checksum ${found}, and should have ${sha256}`);
  return bytes;
}

/** Of a file in a list as `sha256sum` writes it. @throws where it is not in there */
export function checksumIn(list: string, file: string): string {
  const line = list.split('\n').find((each) => each.trim().split(/\s+\*?/)[1] === file);
  const sum = line?.trim().split(/\s+/)[0]?.toLowerCase() ?? '';
  if (!/^[0-9a-f]{64}$/.test(sum)) throw new Error(`the list of checksums does not name ${file}`);
  return sum;
}
