/**
 * Images made of layers as a test wants them: as docker archives, as OCI layouts in a tar, and as what a registry holds.
 * Nothing here keeps to rules: layers may hold what no builder makes.
 */
import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { extract, pack, type Pack } from 'tar-stream';
import { finish } from '../../hosts/installed-scripts.ts';
import type { BuiltImage } from './images.ts';

export type LayerEntry = Parameters<Pack['entry']>[0] & { content?: string | Buffer };
export type Compression = 'none' | 'gzip' | 'zstd' | 'xz' | 'bzip2';

export interface MadeLayer {
  tar: Buffer;
  blob: Buffer;
  compression: Compression;
}

export interface MadeImage {
  layers: MadeLayer[];
  config: Buffer;
}

export const sha256 = (content: Buffer | string): string => createHash('sha256').update(content).digest('hex');
export const digestOf = (content: Buffer | string): string => `sha256:${sha256(content)}`;

export const file = (name: string, content: string, mode = 0o644): LayerEntry => ({
  name,
  content,
  mode,
  type: 'file',
});
export const folder = (name: string): LayerEntry => ({ name, type: 'directory', mode: 0o755 });
export const symlink = (name: string, linkname: string): LayerEntry => ({ name, type: 'symlink', linkname });
export const hardLink = (name: string, linkname: string): LayerEntry => ({ name, type: 'link', linkname });

const packers: Record<Exclude<Compression, 'none' | 'gzip'>, string[]> = {
  zstd: ['zstd', '-q', '-c'],
  xz: ['xz', '-c'],
  bzip2: ['bzip2', '-c'],
};

export async function layer(entries: LayerEntry[], compression: Compression = 'gzip'): Promise<MadeLayer> {
  const tar = pack();
  for (const { content = '', ...header } of entries) {
    const bytes = Buffer.from(content);
    const isFile = header.type === undefined || header.type === 'file';
    if (isFile) tar.entry({ ...header, size: bytes.length }, bytes);
    else tar.entry(header);
  }
  return packed(await finish(tar), compression);
}

export function packed(tar: Buffer, compression: Compression): MadeLayer {
  if (compression === 'none') return { tar, blob: tar, compression };
  if (compression === 'gzip') return { tar, blob: gzipSync(tar), compression };
  const [program, ...words] = packers[compression] as [string, ...string[]];
  return { tar, blob: execFileSync(program, words, { input: tar, maxBuffer: 1e9 }), compression };
}

/** The one layer of the busybox image. */
export async function busyboxLayer(busybox: BuiltImage, compression: Compression = 'gzip'): Promise<MadeLayer> {
  const files = await members(readFileSync(busybox.archive));
  const [described] = JSON.parse(files.get('manifest.json')!.toString()) as [{ Layers: string[] }];
  return packed(files.get(described.Layers[0]!)!, compression);
}

export function image(layers: MadeLayer[], changes: Record<string, unknown> = {}): MadeImage {
  const config = {
    architecture: 'amd64',
    os: 'linux',
    config: { Env: ['PATH=/bin', 'IMAGE_NAME=made'], Cmd: ['/bin/sh'] },
    rootfs: { type: 'layers', diff_ids: layers.map(({ tar }) => digestOf(tar)) },
    ...changes,
  };
  return { layers, config: Buffer.from(JSON.stringify(config)) };
}

/** As `docker save` makes it, of several images too. */
export async function dockerArchive(images: MadeImage[], name = 'made'): Promise<Buffer> {
  const tar = pack();
  const written = new Set<string>();
  const add = (path: string, content: Buffer) => {
    if (!written.has(path)) tar.entry({ name: path }, content);
    written.add(path);
    return path;
  };
  const described = images.map(({ config, layers }, index) => ({
    Config: add(`${sha256(config)}.json`, config),
    RepoTags: [`test/${name}${index}:latest`],
    Layers: layers.map(({ tar: plain, blob }) => add(`${sha256(plain)}.tar`, blob)),
  }));
  add('manifest.json', Buffer.from(JSON.stringify(described)));
  return finish(tar);
}

export interface RegistryContent {
  manifest: Buffer;
  mediaType: string;
  blobs: Map<string, Buffer>;
}

export const manifestType = 'application/vnd.oci.image.manifest.v1+json';
export const indexType = 'application/vnd.oci.image.index.v1+json';

export function registryContent({ layers, config }: MadeImage): RegistryContent {
  const blobs = new Map<string, Buffer>();
  const add = (content: Buffer, mediaType: string) => {
    blobs.set(digestOf(content), content);
    return { mediaType, digest: digestOf(content), size: content.length };
  };
  const manifest = {
    schemaVersion: 2,
    mediaType: manifestType,
    config: add(config, 'application/vnd.oci.image.config.v1+json'),
    layers: layers.map(({ blob, compression }) => add(blob, layerType(compression))),
  };
  return { manifest: Buffer.from(JSON.stringify(manifest)), mediaType: manifestType, blobs };
}

const layerType = (compression: Compression) =>
  `application/vnd.oci.image.layer.v1.tar${compression === 'none' ? '' : `+${compression}`}`;

/** An OCI image layout in a tar. */
export async function ociArchive(images: MadeImage[]): Promise<Buffer> {
  const tar = pack();
  const add = (name: string, content: Buffer | string) => tar.entry({ name }, content);
  add('oci-layout', JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  const written = new Set<string>();
  const manifests = images.map((each, index) => {
    const { manifest, blobs, mediaType } = registryContent(each);
    for (const [digest, content] of [...blobs, [digestOf(manifest), manifest] as const]) {
      if (!written.has(digest)) add(`blobs/${digest.replace(':', '/')}`, content);
      written.add(digest);
    }
    const annotations = { 'org.opencontainers.image.ref.name': `tag${index}` };
    return { mediaType, digest: digestOf(manifest), size: manifest.length, annotations };
  });
  add('index.json', JSON.stringify({ schemaVersion: 2, mediaType: indexType, manifests }));
  return finish(tar);
}

async function members(archive: Buffer): Promise<Map<string, Buffer>> {
  const found = new Map<string, Buffer>();
  const entries = extract();
  entries.end(archive);
  for await (const entry of entries) {
    const chunks: Buffer[] = [];
    for await (const chunk of entry) chunks.push(chunk as Buffer);
    found.set(entry.header.name, Buffer.concat(chunks));
  }
  return found;
}
