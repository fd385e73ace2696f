/** The example's image: busybox by name where Docker Hub answers, else an archive made of the machine's own busybox. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import { pack, type Header, type Pack } from 'tar-stream';
import { runOrThrow } from '../command.ts';

const registryAnswersWithinMs = 3000;
const manifestTypes =
  'application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json';

/** Asks as a pull would, so that a registry that answers but refuses (rate limits) counts as out of reach. */
export async function registryHasBusybox(): Promise<boolean> {
  const signal = AbortSignal.timeout(registryAnswersWithinMs);
  const scope = 'service=registry.docker.io&scope=repository:library/busybox:pull';
  try {
    const answer = await fetch(`https://auth.docker.io/token?${scope}`, { signal });
    if (!answer.ok) return false;
    const { token } = (await answer.json()) as { token: string };
    const manifest = await fetch('https://registry-1.docker.io/v2/library/busybox/manifests/latest', {
      method: 'HEAD',
      headers: { authorization: `Bearer ${token}`, accept: manifestTypes },
      signal,
    });
    return manifest.ok;
  } catch {
    // No network, or too slow: the same to us.
    return false;
  }
}

/** A docker-archive of one layer: the program and a link for each of its applets. @param program a static busybox */
export async function busyboxArchive(program: string): Promise<Buffer<ArrayBuffer>> {
  const { stdout } = await runOrThrow(program, ['--list']);
  const applets = stdout.split('\n').filter((name) => name !== '' && name !== 'busybox');
  const layer = await tarOf([
    ...['bin', 'dev', 'etc', 'home', 'proc', 'root', 'sys', 'usr', 'var'].map(folder),
    { header: { name: 'tmp/', type: 'directory', mode: 0o1777 } },
    file('etc/passwd', 'root:x:0:0:root:/root:/bin/sh\n'),
    file('etc/group', 'root:x:0:\n'),
    { header: { name: 'bin/busybox', mode: 0o755 }, content: await readFile(program) },
    ...applets.map((name) => ({ header: { name: `bin/${name}`, type: 'symlink' as const, linkname: 'busybox' } })),
  ]);
  const config = JSON.stringify({
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    os: 'linux',
    config: { Env: ['PATH=/bin'], Cmd: ['/bin/sh'] },
    rootfs: { type: 'layers', diff_ids: [`sha256:${sha256(layer)}`] },
  });
  const configName = `${sha256(Buffer.from(config))}.json`;
  const manifest = [{ Config: configName, RepoTags: ['quickstart/busybox:latest'], Layers: ['layer.tar'] }];
  return tarOf([
    file(configName, config),
    { header: { name: 'layer.tar' }, content: layer },
    file('manifest.json', JSON.stringify(manifest)),
  ]);
}

interface Member {
  header: Partial<Header> & Pick<Header, 'name'>;
  content?: Buffer;
}

function folder(name: string): Member {
  return { header: { name: `${name}/`, type: 'directory', mode: 0o755 } };
}

function file(name: string, text: string): Member {
  return { header: { name, mode: 0o644 }, content: Buffer.from(text) };
}

/** Moments are left out, so that the same program makes the same bytes. */
async function tarOf(members: readonly Member[]): Promise<Buffer<ArrayBuffer>> {
  const archive: Pack = pack();
  for (const { header, content } of members)
    archive.entry({ ...header, mtime: new Date(0) }, content ?? Buffer.alloc(0));
  archive.finalize();
  return (await buffer(archive)) as Buffer<ArrayBuffer>;
}

function sha256(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}
