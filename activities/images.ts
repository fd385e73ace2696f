/** Where a task's image comes from (docs/wire.md 7.3) and the name of its entry in a machine's cache. */
import { createHash } from 'node:crypto';
import type { Storage, Task } from '../domain/description.ts';
import type { RunRef } from '../domain/runs.ts';
import { imageInMount, inMount } from '../domain/mount.ts';
import { imageObject } from '../descriptions/object-names.ts';
import type { ImageRequest } from '../hosts/machine.ts';
import { objectKey } from '../service/uploads.ts';
import { byDescription } from './description-error.ts';
import type { ObjectStore } from '../storage/object-store.ts';

export interface ImageContext {
  owner: string;
  groups: string[];
  store: ObjectStore;
  insecureRegistries: string[];
  imageDirectories: string[];
  /** The job's storage, opened, and the run it is mounted for. */
  mounted?: { storage: Storage; run: RunRef };
}

/** @throws ImageMissing when the image is an uploaded object that is no longer there */
export async function imageRequest(
  task: Task,
  { owner, groups, store, insecureRegistries, imageDirectories, mounted }: ImageContext,
): Promise<ImageRequest> {
  const sha256 = task.imageSha256 ? { sha256: task.imageSha256 } : {};
  const { image, runtime } = task;
  // The other runtime's file of the same image is another entry.
  const key = (...parts: string[]) => hash(...parts, ...(runtime === 'udocker' ? [runtime] : []));
  if (/^https?:\/\//.test(image)) {
    const archive = isArchive(byDescription(() => new URL(image)).pathname);
    return { runtime, imageKey: key('url', image), source: { kind: 'download', url: image, archive, ...sha256 } };
  }
  const inside = imageInMount(image, mounted?.storage);
  if (mounted && inside !== undefined) {
    const { storage, run } = mounted;
    const path = inMount(storage, inside);
    // As with registries: what a credential opened is not for those who don't have it.
    const imageKey = key('mount', JSON.stringify(storage), path);
    return { runtime, imageKey, source: { kind: 'stored', run, path, archive: isArchive(image), ...sha256 } };
  }
  if (image.startsWith('/')) {
    const source = {
      kind: 'path',
      path: image,
      directories: imageDirectories,
      archive: isArchive(image),
      ...sha256,
    } as const;
    return { runtime, imageKey: key('path', image), source };
  }
  const uploaded = imageObject(image);
  if (uploaded) {
    const object = objectKey({ owner, groups }, uploaded);
    const stored = object === undefined ? undefined : await store.head(object);
    if (object === undefined || !stored) throw new ImageMissing(`Image ${image} does not exist`);
    const url = await store.presignGet(object, urlSeconds);
    // A replaced upload is another image.
    const imageKey = key('object', object, String(stored.sizeBytes), stored.lastModified.toISOString());
    return { runtime, imageKey, source: { kind: 'download', url, archive: isArchive(image), ...sha256 } };
  }
  const reference = image.replace(/^docker:\/\//, '');
  const registry = reference.split('/')[0] ?? '';
  const credential = task.imagePullCredential;
  // What a credential opened is not for those who don't have it.
  const imageKey = credential
    ? key('registry', reference, credential.username, credential.token)
    : key('registry', reference);
  const insecure = insecureRegistries.includes(registry);
  return {
    runtime,
    imageKey,
    source: { kind: 'registry', reference, insecure, ...(credential ? { credential } : {}) },
  };
}

export class ImageMissing extends Error {
  override readonly name = 'ImageMissing';
}

/** Signed URLs outlive the longest transfer and its retries. */
export const urlSeconds = 24 * 3600;

const isArchive = (path: string): boolean => /\.(tar|tgz|tar\.gz)$/.test(path);

function hash(...parts: string[]): string {
  return createHash('sha256').update(parts.join('\0')).digest('hex');
}
