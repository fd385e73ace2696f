/** Archives as users make and get them. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** A `.tgz` of these files. */
export function tarball(files: Record<string, string>): Buffer {
  const folder = mkdtempSync(join(tmpdir(), 'prominence-tarball-'));
  try {
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), content);
    }
    return execFileSync('tar', [
      '-czf',
      '-',
      '-C',
      folder,
      ...new Set(Object.keys(files).map((name) => name.split('/')[0]!)),
    ]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What a file in a `.tgz` holds. */
export function fileIn(archive: Buffer, name: string): string {
  return execFileSync('tar', ['-xzOf', '-', name], { input: archive, encoding: 'utf8' });
}
