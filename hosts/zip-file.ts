/** A zip as unzip opens it: bytes before and behind the archive are passed over. */
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { fromRandomAccessReaderPromise, RandomAccessReader, type ZipFile } from 'yauzl';

/** Names are left as they are: judging them is the machine's. @throws Error for what is no zip */
export async function openZip(path: string): Promise<ZipFile> {
  const { start, end } = await extent(path);
  return fromRandomAccessReaderPromise(new Part(path, start), end - start, { decodeStrings: false });
}

const directoryEnd = 0x06054b50;
const directoryEndBytes = 22;
const longestComment = 0xffff;
const unknownOffset = 0xffffffff;

/** Where the archive is in the file, by the record that ends its directory (APPNOTE 4.3.16). */
async function extent(path: string): Promise<{ start: number; end: number }> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    const from = Math.max(0, size - directoryEndBytes - longestComment);
    const { buffer: tail } = await file.read(Buffer.alloc(size - from), 0, size - from, from);
    for (let at = tail.length - directoryEndBytes; at >= 0; at -= 1) {
      if (tail.readUInt32LE(at) !== directoryEnd) continue;
      const [directoryBytes, directoryOffset] = [tail.readUInt32LE(at + 12), tail.readUInt32LE(at + 16)];
      const end = from + at + directoryEndBytes + tail.readUInt16LE(at + 20);
      const before = directoryOffset === unknownOffset ? 0 : from + at - directoryBytes - directoryOffset;
      // A zip64 record may stand between.
      return { start: before > 0 && !isZip64(tail, at) ? before : 0, end: Math.min(end, size) };
    }
    throw new Error('it is no zip archive, or was cut short');
  } finally {
    await file.close();
  }
}

const zip64Locator = 0x07064b50;
const isZip64 = (tail: Buffer, at: number) => at >= 20 && tail.readUInt32LE(at - 20) === zip64Locator;

class Part extends RandomAccessReader {
  readonly #path: string;
  readonly #start: number;

  constructor(path: string, start: number) {
    super();
    this.#path = path;
    this.#start = start;
  }

  override _readStreamForRange(start: number, end: number): Readable {
    return createReadStream(this.#path, { start: this.#start + start, end: this.#start + end - 1 });
  }
}
