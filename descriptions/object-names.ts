/**
 * Which images and artifacts are names of uploaded objects, and whose they are (docs/wire.md 2.5, 3.5). A name without
 * `/` is in the user's own area; with one, its first part is a group, and only members may read it.
 */
import { withoutSlashes } from '../domain/slashes.ts';

export type ObjectName = { area: 'own'; name: string } | { area: 'group'; path: string };

/** Undefined: the image comes from a registry, a URL, or a path. */
export function imageObject(image: string): ObjectName | undefined {
  if (image.includes('http') || image.startsWith('/')) return undefined;
  return /\.(tar|tgz|simg|sif)/.test(image) ? objectName(image) : undefined;
}

/** Undefined: the artifact is a URL. */
export function artifactObject(url: string): ObjectName | undefined {
  return url.includes('http') ? undefined : objectName(url);
}

export function objectName(name: string): ObjectName {
  return name.includes('/') ? { area: 'group', path: name } : { area: 'own', name };
}

export interface GroupObject {
  group: string;
  /** In the group's area. */
  name: string;
}

/**
 * Whose area a path is in: exactly a group of the user, then a slash, so that `lab` opens `lab/x` and not
 * `laboratory/x`. A group may be called `lab/sub`: to its members `lab/sub/x` is in their area, and to members of `lab`
 * alone in a folder of theirs. Undefined: in no area of this user.
 */
export function groupObject(groups: readonly string[], path: string): GroupObject | undefined {
  const [group] = groups
    // Some identity providers give groups as paths: /lab.
    .map(withoutSlashes)
    .filter((each) => each !== '' && path.startsWith(`${each}/`))
    .sort((a, b) => b.length - a.length);
  return group === undefined ? undefined : { group, name: path.slice(group.length + 1) };
}

/** What could leave its area in a store that is a file system, or mean another object than it says. */
export function isPlainObjectName(name: string): boolean {
  if (name === '' || /[\p{Cc}\p{Surrogate}\\]/u.test(name)) return false;
  return name.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
}
