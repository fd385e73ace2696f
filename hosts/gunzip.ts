/**
 * What gzip holds, as `gzip -d` reads it: members one after the other, and what stands behind the last is passed over.
 * Node's own takes that for a broken member, and loses what came before it.
 */
import { createReadStream } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { crc32, createInflateRaw } from 'node:zlib';

/** @throws Error for what is cut short, damaged, or no gzip at all */
export async function* gunzip(path: string): AsyncGenerator<Buffer> {
  const file = await open(path);
  try {
    let member = 0;
    for (;;) {
      const start = await contentStart(file, member);
      if (start === undefined) {
        if (member > 0) return;
        throw new Error('not in gzip format');
      }
      const inflate = createInflateRaw();
      const source = createReadStream(path, { start });
      source.once('error', (error) => inflate.destroy(error));
      let checksum = 0;
      let length = 0;
      for await (const piece of source.pipe(inflate) as AsyncIterable<Buffer>) {
        checksum = crc32(piece, checksum);
        length += piece.length;
        yield piece;
      }
      source.destroy();
      const end = start + inflate.bytesWritten;
      const trailer = await bytesAt(file, end, 8);
      if (trailer.length < 8) throw new Error('unexpected end of file');
      if (trailer.readUInt32LE(0) !== checksum) throw new Error('crc error');
      if (trailer.readUInt32LE(4) !== length % 2 ** 32) throw new Error('length error');
      member = end + 8;
    }
  } finally {
    await file.close();
  }
}

const flags = { checksum: 2, extra: 4, name: 8, comment: 16 };

/** Where a member's content begins (RFC 1952, 2.3); undefined: there is no member. */
async function contentStart(file: FileHandle, member: number): Promise<number | undefined> {
  const header = await bytesAt(file, member, 10);
  if (header.length < 10 || header.readUInt16BE(0) !== 0x1f8b || header[2] !== 8) return undefined;
  const has = header[3]!;
  let at = member + 10;
  if (has & flags.extra) at += 2 + ((await bytesAt(file, at, 2)).readUInt16LE(0) || 0);
  for (const text of [flags.name, flags.comment]) if (has & text) at = await afterZero(file, at);
  return has & flags.checksum ? at + 2 : at;
}

async function afterZero(file: FileHandle, start: number): Promise<number> {
  for (let at = start; ; at += 1024) {
    const bytes = await bytesAt(file, at, 1024);
    if (bytes.length === 0) throw new Error('unexpected end of file');
    const zero = bytes.indexOf(0);
    if (zero >= 0) return at + zero + 1;
  }
}

async function bytesAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const { bytesRead, buffer } = await file.read(Buffer.alloc(length), 0, length, position);
  return buffer.subarray(0, bytesRead);
}
