/** How an artifact is unpacked, by the suffix of its file name (docs/wire.md 7.4, in that order). */
export type UnpackRule =
  | { rule: 'none' }
  | { rule: 'tgz' | 'tar' | 'tbz' | 'zip' }
  /** One file, which keeps the name without the suffix. */
  | { rule: 'gz' | 'bz2'; unpackedName: string };

export function unpackRule(filename: string): UnpackRule {
  if (filename.endsWith('.tgz') || filename.endsWith('.tar.gz')) return { rule: 'tgz' };
  if (filename.endsWith('.tar')) return { rule: 'tar' };
  if (filename.endsWith('.gz')) return single('gz', filename);
  if (filename.endsWith('.tar.bz2')) return { rule: 'tbz' };
  if (filename.endsWith('.bz2')) return single('bz2', filename);
  if (filename.endsWith('.zip')) return { rule: 'zip' };
  return { rule: 'none' };
}

/** A file called just `.gz` has no name left, and stays as it is. */
function single(rule: 'gz' | 'bz2', filename: string): UnpackRule {
  const unpackedName = filename.slice(0, -(rule.length + 1));
  return unpackedName === '' || unpackedName === '.' || unpackedName === '..'
    ? { rule: 'none' }
    : { rule, unpackedName };
}
