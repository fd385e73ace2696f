/**
 * For machines that lack gzip, bzip2 or unzip: an artifact is fetched by our process and turned into a stream that the
 * machine's tar, or nothing but cat, can take. The machine checks the members as it does for any other archive.
 */
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { pack } from 'tar-stream';
import { getFileNameLowLevel, type Entry, type ZipFile } from 'yauzl';
import type { UnpackRule } from '../domain/unpack-rule.ts';
import { OutsideError, type Outside } from '../outbound/outside.ts';
import { bunzip } from './bunzip.ts';
import { gunzip } from './gunzip.ts';
import { openZip } from './zip-file.ts';

export interface Converted {
  kind: 'tar' | 'file';
  /** Fails with ConversionError when the archive turns out to be broken. */
  stream: Readable;
}

export class DownloadError extends Error {
  override readonly name = 'DownloadError';
  /** The source did not answer, and may do so another time. */
  readonly isAway: boolean;
  constructor(message: string, options: ErrorOptions & { isAway?: boolean } = {}) {
    super(message, options);
    this.isAway = options.isAway ?? false;
  }
}

export class ConversionError extends Error {
  override readonly name = 'ConversionError';
}

/** @throws DownloadError when the source does not answer with the bytes */
export async function fetchAndConvert(
  outside: Outside,
  artifact: { url: string; filename: string; sha256?: string },
  rule: Exclude<UnpackRule['rule'], 'none' | 'tar'>,
  signal?: AbortSignal,
): Promise<Converted> {
  const fetched = await download(outside, artifact.url, signal);
  const body = artifact.sha256 === undefined ? fetched : verified(fetched, artifact.sha256, artifact.filename);
  const converted = await convertSaved(body, rule);
  // It may fail before anybody listens; whoever reads it is told then.
  converted.stream.on('error', () => {});
  return converted;
}

/** The same bytes; fails at their end, before the reader sees it, when they are not what was announced. */
function verified(body: Readable, sha256: string, filename: string): Readable {
  const hash = createHash('sha256');
  const checked = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      done(null, chunk);
    },
    flush(done) {
      const isSame = hash.digest('hex') === sha256;
      done(isSame ? null : new DownloadError(`${filename} is not what was announced: its SHA-256 differs`));
    },
  });
  body.once('error', (error) => checked.destroy(error));
  checked.once('close', () => body.destroy());
  return body.pipe(checked);
}

function downloadError(error: Error): DownloadError {
  if (error instanceof DownloadError) return error;
  const isAway = !(error instanceof OutsideError && error.code !== 'unreachable');
  return new DownloadError(error.message, { cause: error, isAway });
}

/** The most that is fetched, and that a zip takes of our disk. */
const mostArchiveBytes = 20e9;
const mostRedirects = 10;

async function download(outside: Outside, url: string, signal?: AbortSignal): Promise<Readable> {
  try {
    const options = { mostBytes: mostArchiveBytes, redirects: mostRedirects, ...(signal ? { signal } : {}) };
    // As the machine's own downloads, which would follow to either.
    const { status, body } = await outside.request(url, { ...options, allowsPlain: true });
    if (status >= 200 && status < 300) return body;
    body.destroy();
    throw new DownloadError(`the server answered ${status}`, { isAway: status >= 500 || [408, 429].includes(status) });
  } catch (error) {
    if (!(error instanceof OutsideError)) throw error;
    throw new DownloadError(error.message, { cause: error, isAway: error.code === 'unreachable' });
  }
}

/** The whole of it is kept on disk for the time: a zip's directory stands at its end, and others say there how they end. */
async function convertSaved(body: Readable, rule: 'zip' | 'gz' | 'tgz' | 'bz2' | 'tbz'): Promise<Converted> {
  const folder = await mkdtemp(join(tmpdir(), 'prominence-archive-'));
  const file = join(folder, 'archive');
  const tidy = () => void rm(folder, { recursive: true, force: true });
  try {
    await pipeline(body, createWriteStream(file, { mode: 0o600 }));
  } catch (error) {
    tidy();
    throw downloadError(error as Error);
  }
  const stream = rule === 'zip' ? unzipToTar(file) : decompressed(rule.endsWith('gz') ? gunzip(file) : bunzip(file));
  stream.once('close', tidy);
  return { kind: rule === 'gz' || rule === 'bz2' ? 'file' : 'tar', stream };
}

function decompressed(pieces: AsyncIterable<Buffer>): Readable {
  async function* readable() {
    try {
      yield* pieces;
    } catch (error) {
      throw broken(error);
    }
  }
  return Readable.from(readable(), { objectMode: false });
}

function unzipToTar(file: string): Readable {
  const tar = pack();
  const stream = new PassThrough();
  // It is told again what its reader was already told.
  tar.on('error', () => {});
  stream.once('close', () => tar.destroy());
  tar.pipe(stream);
  const convert = async () => {
    const zip = await openZip(file);
    for await (const entry of zip.eachEntry()) await copyEntry(zip, entry, tar);
    tar.finalize();
  };
  void convert().catch((error: unknown) => stream.destroy(broken(error)));
  return stream;
}

function broken(error: unknown): ConversionError {
  return new ConversionError(error instanceof Error ? error.message : String(error), { cause: error });
}

const linkType = 0o120000;
/** Who made an entry, as far as its attributes are those of Unix. */
const unixMakers = [3, 19];
const dosMaker = 0;

async function copyEntry(zip: ZipFile, entry: Entry, tar: ReturnType<typeof pack>): Promise<void> {
  const maker = entry.versionMadeBy >>> 8;
  const unixMode = unixMakers.includes(maker) ? entry.externalFileAttributes >>> 16 : 0;
  const permissions = unixMode & 0o777;
  const name = entryName(entry, maker);
  if (name.endsWith('/')) {
    tar.entry({ name, type: 'directory', mode: permissions || 0o755 });
    return;
  }
  const content = await zip.openReadStreamPromise(entry);
  if ((unixMode & 0o170000) === linkType) {
    const chunks: Buffer[] = [];
    for await (const chunk of content) chunks.push(chunk as Buffer);
    tar.entry({ name, type: 'symlink', linkname: Buffer.concat(chunks).toString() });
    return;
  }
  const mode = permissions | 0o600 | (unixMode === 0 ? 0o044 : 0);
  const sink = tar.entry({ name, size: entry.uncompressedSize, mode, mtime: entry.getLastModDate() });
  await pipeline(content, sink);
}

/** As unzip reads it: a backslash is a slash only in names that DOS made, and that have no other. */
function entryName({ generalPurposeBitFlag, fileNameRaw, extraFields }: Entry, maker: number): string {
  const name = getFileNameLowLevel(generalPurposeBitFlag, fileNameRaw, extraFields, true);
  return maker === dosMaker && !name.includes('/') ? name.replaceAll('\\', '/') : name;
}
