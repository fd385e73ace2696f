/**
 * Objects as files below one folder, which any number of processes share. An object appears whole or not at all, and
 * what was answered as written survives a power loss.
 */
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, open, readdir, rename, rm, rmdir, stat, unlink, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { StorageError } from './errors.ts';
import { folderPath, keyPiece, objectPath } from './key-path.ts';
import type { StoredObject } from './object-store.ts';

export interface ExpectedBody {
  /** Hex. */
  sha256?: string;
  sizeBytes?: number;
  mostBytes?: number;
}

export class ObjectFolder {
  readonly #objects: string;
  /** Unfinished bodies; on the same file system, so that renaming is atomic. */
  readonly #incoming: string;

  constructor(directory: string) {
    this.#objects = join(directory, 'objects');
    this.#incoming = join(directory, 'incoming');
  }

  /** @throws StorageError(unavailable) */
  async ensureReady(): Promise<void> {
    try {
      await mkdir(this.#objects, { recursive: true });
      await mkdir(this.#incoming, { recursive: true });
      const probe = await this.#createIncoming();
      await probe.file.close();
      await unlink(probe.path);
    } catch (error) {
      const reason = (error as Error).message;
      throw new StorageError('unavailable', `the object folder can't be used: ${reason}`, { cause: error });
    }
    await this.#removeAbandoned();
  }

  /**
   * Puts the body in the place of what is there. Of several at a time the last to be complete stays.
   * @throws StorageError(bodyMismatch, tooLarge, full, invalidKey), or what the body throws; nothing is left of it then
   * @returns how many bytes it has
   */
  async write(
    key: string,
    body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    expected: ExpectedBody = {},
  ): Promise<number> {
    const path = join(this.#objects, ...objectPath(key));
    const incoming = await this.#createIncoming();
    let sizeBytes: number;
    try {
      try {
        sizeBytes = await copy(body, incoming.file, expected);
        await incoming.file.sync();
      } finally {
        await incoming.file.close();
      }
      await publish(incoming.path, path);
      return sizeBytes;
    } catch (error) {
      await rm(incoming.path, { force: true });
      if (isErrno(error, 'ENOSPC', 'EDQUOT')) {
        throw new StorageError('full', 'no space is left for the object', { cause: error });
      }
      throw error;
    }
  }

  /** The object as it is now, whatever happens to the key later; the caller closes the file. */
  async open(key: string): Promise<(StoredObject & { etag: string; file: FileHandle }) | undefined> {
    const file = await open(join(this.#objects, ...objectPath(key)), 'r').catch(undefinedIfMissing);
    if (file === undefined) return undefined;
    try {
      const { size, mtime, mtimeNs, ino } = await file.stat({ bigint: true });
      // Each write makes a new file, so this never stays the same for other bytes.
      const etag = `"${ino.toString(16)}-${mtimeNs.toString(16)}"`;
      return { key, sizeBytes: Number(size), lastModified: mtime, etag, file };
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async head(key: string): Promise<StoredObject | undefined> {
    return storedObject(key, join(this.#objects, ...objectPath(key)));
  }

  /** In the order of the keys' bytes, as S3 has it. Reads one folder of names at a time, and none outside the prefix. */
  async *list(prefix: string): AsyncIterable<StoredObject> {
    const start = prefix.slice(0, prefix.lastIndexOf('/') + 1);
    yield* walk(join(this.#objects, ...folderPath(start)), Buffer.from(start), Buffer.from(prefix));
  }

  async delete(key: string): Promise<void> {
    const path = join(this.#objects, ...objectPath(key));
    await unlink(path).catch(undefinedIfMissing);
    // A job's folder must not stay for ever; a writer that loses its folder makes it again.
    for (let folder = dirname(path); folder !== this.#objects; folder = dirname(folder)) {
      try {
        await rmdir(folder);
      } catch (error) {
        if (isErrno(error, 'ENOENT')) continue;
        if (isErrno(error, 'ENOTEMPTY', 'EEXIST')) return;
        throw error;
      }
    }
  }

  async #createIncoming(): Promise<{ path: string; file: FileHandle }> {
    const path = join(this.#incoming, randomUUID());
    return { path, file: await open(path, 'wx', 0o600) };
  }

  /** What a killed process left. A day is longer than any upload's URL is valid. */
  async #removeAbandoned(): Promise<void> {
    const oldest = Date.now() - 24 * 3600 * 1000;
    for (const name of await readdir(this.#incoming)) {
      const path = join(this.#incoming, name);
      const found = await stat(path).catch(undefinedIfMissing);
      if (found !== undefined && found.mtimeMs < oldest) await rm(path, { force: true });
    }
  }
}

async function copy(
  body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  file: FileHandle,
  expected: ExpectedBody,
): Promise<number> {
  const most = expected.mostBytes ?? Infinity;
  if ((expected.sizeBytes ?? 0) > most) throw tooLarge(expected.sizeBytes!, most);
  const hash = expected.sha256 === undefined ? undefined : createHash('sha256');
  let sizeBytes = 0;
  for await (const chunk of body) {
    hash?.update(chunk);
    sizeBytes += chunk.length;
    // Not at the end: nobody fills the disk first.
    if (sizeBytes > most) throw tooLarge(sizeBytes, most);
    for (let offset = 0; offset < chunk.length;) {
      offset += (await file.write(chunk, offset)).bytesWritten;
    }
  }
  if (expected.sizeBytes !== undefined && sizeBytes !== expected.sizeBytes) {
    throw new StorageError('bodyMismatch', `the body has ${sizeBytes} bytes, not the announced ${expected.sizeBytes}`);
  }
  const sha256 = hash?.digest('hex');
  if (sha256 !== expected.sha256?.toLowerCase()) {
    throw new StorageError('bodyMismatch', `the body's SHA-256 is ${sha256}, not ${expected.sha256}`);
  }
  return sizeBytes;
}

const tooLarge = (bytes: number, most: number) =>
  new StorageError('tooLarge', `the body has ${bytes} bytes or more, and may have ${most}`);

/** Renames the finished file to its place, and makes sure the names are on the disk too. */
async function publish(from: string, to: string): Promise<void> {
  const folder = dirname(to);
  for (let attempt = 1; ; attempt++) {
    const firstMade = await mkdir(folder, { recursive: true }).catch((error: unknown) => {
      // A delete of the last neighbour can remove a folder between the steps of mkdir, or before the rename.
      if (isErrno(error, 'ENOENT') && attempt < 20) return null;
      throw error;
    });
    if (firstMade === null) continue;
    try {
      await rename(from, to);
      await syncFolders(folder, firstMade);
      return;
    } catch (error) {
      if (!isErrno(error, 'ENOENT') || attempt >= 20) throw error;
    }
  }
}

async function syncFolders(folder: string, firstMade: string | undefined): Promise<void> {
  const last = firstMade === undefined ? folder : dirname(firstMade);
  for (let each = folder; ; each = dirname(each)) {
    const handle = await open(each, 'r').catch(undefinedIfMissing);
    // Missing: the object was deleted again meanwhile.
    if (handle !== undefined) await handle.sync().finally(() => handle.close());
    if (each === last) return;
  }
}

async function* walk(folder: string, base: Buffer, prefix: Buffer): AsyncIterable<StoredObject> {
  const names = (await readdir(folder).catch(undefinedIfMissing)) ?? [];
  const entries = names
    .flatMap((name) => {
      const found = keyPiece(name);
      if (found === undefined) return [];
      const key = Buffer.concat([base, found.piece]);
      const shared = Math.min(key.length, prefix.length);
      const matches =
        found.kind === 'object' && key.length < prefix.length
          ? false
          : key.subarray(0, shared).equals(prefix.subarray(0, shared));
      return matches ? [{ name, key, kind: found.kind }] : [];
    })
    .sort((a, b) => Buffer.compare(a.key, b.key));
  for (const entry of entries) {
    const path = join(folder, entry.name);
    if (entry.kind === 'folder') {
      yield* walk(path, entry.key, prefix);
    } else {
      const object = await storedObject(entry.key.toString(), path);
      if (object !== undefined) yield object;
    }
  }
}

async function storedObject(key: string, path: string): Promise<StoredObject | undefined> {
  const found = await stat(path).catch(undefinedIfMissing);
  return found === undefined ? undefined : { key, sizeBytes: found.size, lastModified: found.mtime };
}

function undefinedIfMissing(error: unknown): undefined {
  if (isErrno(error, 'ENOENT')) return undefined;
  throw error;
}

function isErrno(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && codes.includes((error as NodeJS.ErrnoException).code ?? '');
}
