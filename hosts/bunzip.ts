/** What bzip2 holds, as `bzip2 -d` reads it: what stands behind its last stream is passed over. */
import { createReadStream } from 'node:fs';
import { PassThrough, Readable } from 'node:stream';
import bunzip2 from 'unbzip2-stream';

/** The decoder asks for this much where another stream may begin, and fails in other ways where there is less. */
const padding = Buffer.alloc(4);
/** What it says where none begins. */
const noStream = 'No magic number found';

/** @throws Error for what is cut short, damaged, or no bzip2 at all */
export async function* bunzip(path: string): AsyncGenerator<Buffer> {
  let isBzip2 = false;
  async function* padded() {
    let head = Buffer.alloc(0);
    for await (const piece of createReadStream(path) as AsyncIterable<Buffer>) {
      if (head.length < 3) head = Buffer.concat([head, piece]).subarray(0, 3);
      isBzip2 ||= head.toString('latin1') === 'BZh';
      yield piece;
    }
    yield padding;
  }
  const source = Readable.from(padded(), { objectMode: false });
  const decoder = bunzip2();
  const decoded = new PassThrough();
  // Its errors cut off what is piped from it, also what it has still to give.
  decoder.on('data', (piece: Buffer) => {
    if (!decoded.write(piece)) decoder.pause();
  });
  decoded.on('drain', () => decoder.resume());
  decoder.on('end', () => decoded.end());
  decoder.on('error', (error: Error) => {
    if (isBzip2 && error.message === noStream) decoder.queue(null);
    else decoded.destroy(error);
  });
  source.once('error', (error) => decoded.destroy(error));
  source.pipe(decoder);
  try {
    yield* decoded as AsyncIterable<Buffer>;
  } finally {
    source.destroy();
  }
}
