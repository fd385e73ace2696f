import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { extract } from 'tar-stream';
import { expect, it } from 'vitest';
import { busyboxArchive } from './image.ts';

async function members(archive: Buffer): Promise<Map<string, { linkname: string | null; content: Buffer }>> {
  const found = new Map<string, { linkname: string | null; content: Buffer }>();
  const entries = Readable.from([archive]).pipe(extract());
  for await (const entry of entries) {
    found.set(entry.header.name, { linkname: entry.header.linkname ?? null, content: await buffer(entry) });
  }
  return found;
}

it('the image archive names one layer by its digest, and links each applet to the program', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'prominence-image-'));
  try {
    const program = join(folder, 'busybox');
    writeFileSync(program, '#!/bin/sh\nprintf "busybox\\nsh\\nawk\\n"\n');
    chmodSync(program, 0o755);

    const archive = await members(await busyboxArchive(program));
    const [manifest] = JSON.parse(archive.get('manifest.json')?.content.toString() ?? '') as { Config: string }[];
    const config = JSON.parse(archive.get(manifest?.Config ?? '')?.content.toString() ?? '') as {
      rootfs: { diff_ids: string[] };
    };
    const layer = archive.get('layer.tar')?.content ?? Buffer.alloc(0);
    expect(config.rootfs.diff_ids).toEqual([`sha256:${createHash('sha256').update(layer).digest('hex')}`]);

    const files = await members(layer);
    expect(files.get('bin/awk')?.linkname).toBe('busybox');
    expect(files.get('bin/busybox')?.content.toString()).toContain('printf');
    expect(files.has('bin/bin')).toBe(false);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
