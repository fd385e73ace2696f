/** Layout of the object store. Users see names without their area; owners and groups have areas that can't collide. */
import { createHash } from 'node:crypto';
import { withoutTrailingSlashes } from '../domain/slashes.ts';

export const uploadKey = {
  /** A user's own area; with an empty name its folder. */
  own: (owner: string, name: string): string => `uploads/users/${encodeURIComponent(owner)}/${name}`,
  /** A group's area, apart from that of a group whose name goes on after a slash; with an empty name its folder. */
  group: ({ group, name }: { group: string; name: string }): string =>
    `uploads/groups/${encodeURIComponent(group)}/${name}`,
};

/** All that is a job's own lies in these. */
export const jobFolders = (uid: string) => ({ outputs: `scratch/${uid}/`, snapshots: `snapshots/${uid}/` });

/** Each snapshot of a job has a place of its own. */
export function snapshotKey(uid: string, callId: string): string {
  return `${jobFolders(uid).snapshots}${callId}/snapshot.tgz`;
}

type OutputKind = 'file' | 'directory';

/** The last part of its name: what clients call what they download. */
export function outputFileName(kind: OutputKind, name: string): string {
  const base = withoutTrailingSlashes(name).split('/').pop() ?? name;
  return kind === 'directory' ? `${base}.tgz` : base;
}

/** No file has a longer name; a pattern may. */
const longestFileNameBytes = 255;

/**
 * Each output of a job has a place of its own, also where several end with the same name. They carry the attempt, so that
 * a lost attempt that lives on can't overwrite what the current one published.
 */
export function outputKey(uid: string, attempt: number, kind: OutputKind, name: string): string {
  const place = createHash('sha256').update(`${kind} ${name}`).digest('hex').slice(0, 16);
  const fileName = outputFileName(kind, name);
  const last = Buffer.byteLength(fileName) > longestFileNameBytes ? kind : fileName;
  return `${jobFolders(uid).outputs}${attempt}/${place}/${last}`;
}
