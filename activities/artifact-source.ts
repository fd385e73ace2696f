/** Where an artifact of a job is had from: the storage mounted for its run, our object store, or anywhere by a URL. */
import { artifactObject } from '../descriptions/object-names.ts';
import type { Artifact, Storage } from '../domain/description.ts';
import { pathInDefault } from '../domain/mount.ts';
import { artifactFileName } from '../domain/staged-names.ts';
import { byDescription } from './description-error.ts';
import { objectKey } from '../service/uploads.ts';

export type ReadableSource =
  | { kind: 'mounted'; path: string; filename: string }
  | { kind: 'uploaded'; key: string; filename: string }
  | { kind: 'web'; url: string; filename: string };

/** `unreadable`: a name in the area of a group that the owner is not in. */
export type ArtifactSource = ReadableSource | { kind: 'unreadable'; name: string };

/** @throws DescriptionError for a URL that names no file */
export function artifactSource(
  { url }: Pick<Artifact, 'url'>,
  storage: Storage | undefined,
  reader: { owner: string; groups: string[] },
): ArtifactSource {
  const object = artifactObject(url);
  if (!object) {
    return { kind: 'web', url, filename: byDescription(() => artifactFileName(new URL(url).href)) };
  }
  const path = pathInDefault(storage, url);
  if (path !== undefined) return { kind: 'mounted', path, filename: lastPart(path) };
  const key = objectKey(reader, object);
  return key === undefined ? { kind: 'unreadable', name: url } : { kind: 'uploaded', key, filename: lastPart(key) };
}

const lastPart = (path: string): string => path.slice(path.lastIndexOf('/') + 1);
