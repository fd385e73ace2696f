/**
 * A user's own storage, as a job uses it (docs/wire.md 3.6, 7.7). The names of credentials are the wire's: by them they are
 * known as secrets. A default storage is used through its mount, whatever its kind.
 */
import type { Storage } from './description.ts';

/** What a machine must be able to mount. B2DROP is WebDAV. */
export type MountKind = 'webdav' | 'onedata';

export const mountKind = ({ type }: Storage): MountKind => (type === 'onedata' ? 'onedata' : 'webdav');

/** One that is neither seen by tasks nor stands in for the object store has nothing to do. */
export const isUsed = ({ mountpoint, isDefault }: Storage): boolean => mountpoint !== '' || isDefault;

/**
 * The folder of what is mounted that the job sees: a space of OneData is found below what `oneclient` mounts, while of
 * WebDAV only that folder is mounted in the first place. '' is the whole.
 */
export const seenFolder = (storage: Storage): string => (storage.type === 'onedata' ? storage.directory : '');

/** Where in what is mounted a file of the storage is. */
export const inMount = (storage: Storage, path: string): string =>
  [seenFolder(storage), path].filter((part) => part !== '').join('/');

/** The file of the storage that an image's absolute path names (docs/wire.md 7.3); undefined: it is none of it. */
export function imageInMount(image: string, storage: Storage | undefined): string | undefined {
  if (!storage || !image.startsWith('/')) return undefined;
  const { mountpoint, isDefault } = storage;
  if (mountpoint !== '' && image.startsWith(`${mountpoint}/`)) return image.slice(mountpoint.length + 1);
  return isDefault ? image.replace(/^\/+/, '') : undefined;
}

/** The same for a name that means the object store elsewhere; undefined: it means the object store here as well. */
export function pathInDefault(storage: Storage | undefined, name: string): string | undefined {
  return storage?.isDefault ? inMount(storage, name.replace(/^\/+/, '')) : undefined;
}

/** What a placement calls it, beside container runtimes. */
export const mountAbility = (kind: string): string => `${kind} mounts`;
