/**
 * For machines that lack gzip, bzip2 or unzip: an artifact is fetched by our process and turned into a stream that the
 * machine's tar, or nothing but cat, can take. The machine checks the members as it does for any other archive.
 */
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { PassThrough, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { pack } from 'tar-stream';
import bunzip2 from 'unbzip2-stream';
import { openPromise, type Entry, type ZipFile } from 'yauzl';
import { OutsideError, type Outside } from '../outbound/outside.ts';
import type { UnpackRule } from './unpack-rule.ts';

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
  const converted = rule === 'zip' ? await unzipToTar(body) : decompress(body, rule);
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

function decompress(body: Readable, rule: 'gz' | 'tgz' | 'bz2' | 'tbz'): Converted {
  const stream = new PassThrough();
  const decoder = rule === 'gz' || rule === 'tgz' ? createGunzip() : bunzip2();
  body.once('error', (error) => stream.destroy(downloadError(error)));
  decoder.once('error', (error) => stream.destroy(broken(error)));
  stream.once('close', () => body.destroy());
  body.pipe(decoder).pipe(stream);
  return { kind: rule === 'tgz' || rule === 'tbz' ? 'tar' : 'file', stream };
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

/** A zip's directory stands at its end, so the whole of it is kept on disk for the time. */
async function unzipToTar(body: Readable): Promise<Converted> {
  const folder = await mkdtemp(join(tmpdir(), 'prominence-zip-'));
  const file = join(folder, 'archive.zip');
  try {
    await pipeline(body, createWriteStream(file, { mode: 0o600 }));
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw downloadError(error as Error);
  }
  const tar = pack();
  const stream = new PassThrough();
  // It is told again what its reader was already told.
  tar.on('error', () => {});
  stream.once('close', () => tar.destroy());
  tar.pipe(stream);
  const convert = async () => {
    const zip = await openPromise(file);
    for await (const entry of zip.eachEntry()) await copyEntry(zip, entry, tar);
    tar.finalize();
  };
  void convert()
    .catch((error: unknown) => stream.destroy(broken(error)))
    .finally(() => rm(folder, { recursive: true, force: true }));
  return { kind: 'tar', stream };
}

function broken(error: unknown): ConversionError {
  return new ConversionError(error instanceof Error ? error.message : String(error), { cause: error });
}

const symlinkType = 0o120000;

async function copyEntry(zip: ZipFile, entry: Entry, tar: ReturnType<typeof pack>): Promise<void> {
  const unixMode = entry.externalFileAttributes >>> 16;
  const name = entry.fileName;
  if (name.endsWith('/')) {
    tar.entry({ name, type: 'directory', mode: 0o755 });
    return;
  }
  const content = await zip.openReadStreamPromise(entry);
  if ((unixMode & 0o170000) === symlinkType) {
    const chunks: Buffer[] = [];
    for await (const chunk of content) chunks.push(chunk as Buffer);
    tar.entry({ name, type: 'symlink', linkname: Buffer.concat(chunks).toString() });
    return;
  }
  const mode = (unixMode & 0o777) | 0o600 | (unixMode === 0 ? 0o044 : 0);
  const sink = tar.entry({ name, size: entry.uncompressedSize, mode, mtime: entry.getLastModDate() });
  await pipeline(content, sink);
}
