/** Reads just enough of a Linux program to tell whether it needs a loader and libraries of the system. */

const interpreterSegment = 3;

/** @param head the file's first bytes, at least up to the end of its program headers; 64-bit little-endian ELF only */
export function isStaticExecutable(head: Buffer): boolean {
  const isElf64 = head.length >= 64 && head.readUInt32BE(0) === 0x7f454c46 && head[4] === 2 && head[5] === 1;
  if (!isElf64) return false;
  const offset = Number(head.readBigUInt64LE(32));
  const size = head.readUInt16LE(54);
  const count = head.readUInt16LE(56);
  if (count === 0 || offset + size * count > head.length) return false;
  const types = Array.from({ length: count }, (_, index) => head.readUInt32LE(offset + index * size));
  return !types.includes(interpreterSegment);
}
