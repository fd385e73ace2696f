/** What images mean, and what they may not do, is the same whatever runs them. */
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ContainerRuntime } from '../../../domain/description.ts';
import type { ImageSource, MachineWatch } from '../../../hosts/machine.ts';
import { buildBusybox } from '../../ground/images.ts';
import {
  busyboxLayer,
  digestOf,
  dockerArchive,
  file,
  folder,
  hardLink,
  image,
  indexType,
  layer,
  ociArchive,
  packed,
  registryContent,
  sha256,
  symlink,
  type LayerEntry,
  type MadeImage,
  type MadeLayer,
} from '../../ground/made-images.ts';
import { startMadeRegistry, type MadeRegistry } from '../../ground/made-registry.ts';
import { deployment, launchOf, newRun, output, resultOf, sh } from './runs.ts';
import type { Transport } from './transports.ts';

export function describeImageContent(name: string, runtime: ContainerRuntime, open: () => Promise<Transport>): void {
  describe(`the content of images with ${name}`, () => {
    let transport: Transport;
    let watch: MachineWatch;
    let registry: MadeRegistry;
    let base: MadeLayer;
    beforeAll(async () => {
      transport = await open();
      watch = await transport.machine.watch(deployment);
      registry = await startMadeRegistry();
      base = await busyboxLayer(await buildBusybox());
    });
    afterAll(async () => {
      watch?.close();
      await registry?.close();
      await transport?.close();
    });

    let last = 0;
    const pull = (source: ImageSource) =>
      transport.machine.pullImage({ runtime, imageKey: `${runtime}-content${(last += 1)}`, source });
    const archive = (content: Buffer, sha?: string): ImageSource => {
      const path = `content${(last += 1)}.tar`;
      transport.files.files.set(path, content);
      return { kind: 'download', url: transport.files.url(path), archive: true, ...(sha ? { sha256: sha } : {}) };
    };
    const fromRegistry = (reference: string): ImageSource => ({ kind: 'registry', reference, insecure: true });
    const says = async (source: ImageSource, line: string) => {
      const run = newRun();
      await transport.machine.startTask(run, launchOf(await pull(source), sh(line), { runtime }));
      const { exitCode } = await resultOf(watch, run);
      const said = await output(watch, run);
      if (exitCode !== 0) throw new Error(`it ended with ${exitCode}: ${await output(watch, run, 'stderr')}`);
      await watch.remove([run]);
      return said;
    };
    const layered = async (...all: LayerEntry[][]): Promise<MadeImage> =>
      image([base, ...(await Promise.all(all.map((entries) => layer(entries))))]);
    /** All that is below /data, and what the files hold. */
    const look =
      'cd /data; for f in $(find . | sort); do [ -d $f ] && echo $f/ || echo $f $(cat $f); done | tr "\\n" ";"';

    const first = [
      folder('data'),
      folder('data/d'),
      file('data/d/a', 'A'),
      folder('data/d/sub'),
      file('data/d/sub/b', 'B'),
    ];
    const meanings: [string, LayerEntry[][], string][] = [
      [
        'a layer that comes twice',
        [first, [file('data/d/.wh.a', ''), file('data/.wh..wh..opq', '')], first],
        './;./d/;./d/a A;./d/sub/;./d/sub/b B;',
      ],
      [
        'whiteouts at any depth',
        [first, [file('data/d/sub/.wh.b', ''), file('data/d/.wh.a', '')]],
        './;./d/;./d/sub/;',
      ],
      ['a whiteout of a folder', [first, [file('data/d/.wh.sub', '')]], './;./d/;./d/a A;'],
      [
        'a folder that is made anew',
        [first, [folder('data/d'), file('data/d/.wh..wh..opq', ''), file('data/d/c', 'C')]],
        './;./d/;./d/c C;',
      ],
      [
        'an opaque whiteout after what it leaves',
        [first, [folder('data/d'), file('data/d/c', 'C'), file('data/d/.wh..wh..opq', '')]],
        './;./d/;./d/c C;',
      ],
      ['a folder replaced by a file', [first, [file('data/d', 'D')]], './;./d D;'],
      [
        'a file replaced by a folder',
        [first, [folder('data/d/a'), file('data/d/a/e', 'E')]],
        './;./d/;./d/a/;./d/a/e E;./d/sub/;./d/sub/b B;',
      ],
      [
        'a file replaced beside its hard link',
        [[folder('data'), file('data/a', 'A'), hardLink('data/b', 'data/a')], [file('data/a', 'changed')]],
        './;./a changed;./b A;',
      ],
      [
        'a hard link into an earlier layer',
        [first, [hardLink('data/again', 'data/d/a')], [file('data/d/.wh.a', '')]],
        './;./again A;./d/;./d/sub/;./d/sub/b B;',
      ],
      [
        'a folder of an earlier layer by its link',
        [
          [...first, symlink('data/link', 'd')],
          [file('data/link/new', 'N'), file('data/link/.wh.a', '')],
        ],
        './;./d/;./d/new N;./d/sub/;./d/sub/b B;./link/;',
      ],
    ];
    it.each(meanings)('runs %s', async (_, layers, expected) => {
      const made = await layered(...layers);
      expect(await says(archive(await dockerArchive([made])), look)).toBe(expected);
    });

    it('runs a layer that ends with its last file, its last block not filled, and none that ends within it', async () => {
      const header = 512;
      const { tar } = await layer([file('data/last', 'L'.repeat(700))]);
      const ending = (bytes: number) => dockerArchive([image([base, packed(tar.subarray(0, header + bytes), 'gzip')])]);
      expect(await says(archive(await ending(700)), 'wc -c < /data/last')).toBe('700\n');
      await expect(pull(archive(await ending(600)))).rejects.toThrow();
    });

    it('runs the same of a docker archive, packed or not, an OCI layout in a tar, and a registry', async () => {
      const made = await layered(first, [file('data/d/.wh.a', '')]);
      const { pinned, tagged } = registry.put('same/image', registryContent(made));
      const plain = await dockerArchive([made]);
      for (const source of [
        archive(plain),
        archive(gzipSync(plain)),
        archive(await ociArchive([made])),
        archive(gzipSync(await ociArchive([made]))),
        fromRegistry(tagged),
        fromRegistry(pinned),
      ]) {
        expect(await says(source, look)).toBe('./;./d/;./d/sub/;./d/sub/b B;');
      }
    });

    it('runs the one of several architectures that fits', async () => {
      const mine = await layered([folder('data'), file('data/mine', '1')]);
      const other = image(mine.layers, { architecture: 'arm64' });
      const entries = [other, mine].map((each, index) => {
        const content = registryContent(each);
        registry.put('many/image', content, `part${index}`);
        const platform = { os: 'linux', architecture: index === 0 ? 'arm64' : 'amd64' };
        return {
          mediaType: content.mediaType,
          digest: digestOf(content.manifest),
          size: content.manifest.length,
          platform,
        };
      });
      const index = (manifests: unknown[]) => ({
        manifest: Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: indexType, manifests })),
        mediaType: indexType,
        blobs: new Map<string, Buffer>(),
      });
      const { pinned } = registry.put('many/image', index(entries));
      expect(await says(fromRegistry(pinned), look)).toBe('./;./mine 1;');
      const { tagged } = registry.put('many/image', index(entries.slice(0, 1)), 'foreign');
      await expect(pull(fromRegistry(tagged))).rejects.toThrow(/arm64|no (child|image|matching)/i);
    });

    it('runs layers that are packed with gzip, zstd or not at all', async () => {
      const { tar } = await layer([folder('data'), file('data/p', 'P')]);
      for (const compression of ['gzip', 'zstd', 'none'] as const) {
        const made = image([base, packed(tar, compression)]);
        expect(await says(archive(await ociArchive([made])), look), compression).toBe('./;./p P;');
      }
    });

    it('refuses what it would run wrongly, and names it', async () => {
      const one = await layered(first);
      const two = await layered([file('two', '2')]);
      const foreign = image(one.layers, { architecture: 'arm64' });
      const squeezed = (compression: 'xz' | 'bzip2') => image([base, packed(one.layers[1]!.tar, compression)]);
      const refusals: [Buffer, RegExp][] = [
        [await dockerArchive([one, two]), /holds 2 images/],
        [await ociArchive([one, two]), /holds 2 images/],
        [await dockerArchive([foreign]), /made for linux\/arm64, and this machine is linux\/amd64/],
        [await ociArchive([foreign]), /made for linux\/arm64/],
        [await dockerArchive([squeezed('xz')]), /compressed with xz/],
        [await dockerArchive([squeezed('bzip2')]), /compressed with bzip2/],
        [packed(await dockerArchive([one]), 'xz').blob, /the archive is compressed with xz/],
        [packed(await dockerArchive([one]), 'zstd').blob, /the archive is compressed with zstd/],
        [(await layer([file('etc/motd', 'hello')])).tar, /holds no image/],
        [Buffer.from('<html>please log in</html>'), /no tar|no image/],
      ];
      for (const [content, reason] of refusals) {
        await expect(pull(archive(content)), String(reason)).rejects.toMatchObject({
          code: 'invalid',
          message: expect.stringMatching(reason) as string,
        });
      }
      const { tagged } = registry.put('foreign/image', registryContent(foreign));
      await expect(pull(fromRegistry(tagged))).rejects.toMatchObject({
        code: 'invalid',
        message: expect.stringMatching(/made for linux\/arm64/) as string,
      });
    });

    it('writes nothing outside of an image, whatever links and names its layers have', async () => {
      const root = transport.workDirectory.startsWith('/') ? transport.workDirectory : '';
      const up = '../'.repeat(12);
      const made = await layered(
        [symlink('out', root), symlink('up', `${up}${root.slice(1)}`), folder('dir'), symlink('dir/inner', `../out`)],
        [
          file('out/escaped1', 'x'),
          file('up/escaped2', 'x'),
          file('dir/inner/escaped3', 'x'),
          file(`${up}${root.slice(1)}/escaped4`, 'x'),
          file(`${root}/escaped5`, 'x'),
          folder('out/images'),
          file('out/lib/.wh..wh..opq', ''),
          file('out/.wh.images', ''),
        ],
        [hardLink('stolen', 'out/lib')].slice(1),
      );
      const before = await transport.shell('ls; ls lib | grep -v pycache');
      expect(await says(archive(await dockerArchive([made])), 'echo ran')).toBe('ran\n');
      const { pinned } = registry.put('escaping/image', registryContent(made));
      expect(await says(fromRegistry(pinned), 'echo ran')).toBe('ran\n');
      const after = await transport.shell('ls; ls lib | grep -v pycache');
      expect(after).toBe(before);
      expect(await transport.shell('find . -name "escaped*" -not -path "*/podman/*" -not -path "*/images/*"')).toBe('');
    });

    // Apptainer mounts images without such rights, and makes a plain file of a device.
    if (name !== 'apptainer')
      it('gives the rights of no other account, and no devices', async () => {
        const device = { name: 'data/device', type: 'character-device' as const, devmajor: 1, devminor: 3 };
        const made = await layered([folder('data'), file('data/suid', 's', 0o6755), device]);
        const line = 'stat -c "%a %F" /data/suid; test -c /data/device || echo none';
        expect(await says(archive(await dockerArchive([made])), line)).toBe('755 regular file\nnone\n');
      });

    it('takes nothing for what it is not, whoever gives it', async () => {
      const plain = await layer([folder('data'), file('data/good', 'good-content')], 'none');
      const good = registryContent(image([base, plain]));
      const evil = registryContent(await layered([folder('data'), file('data/evil', '1')]));
      const honest = await startMadeRegistry();
      try {
        const { pinned } = honest.put('good/image', good);
        // Another manifest under that name.
        registry.put('evil/image', evil);
        const named = `evil/image/manifests/${digestOf(good.manifest)}`;
        registry.content.set(named, {
          body: evil.manifest,
          mediaType: evil.mediaType,
          digest: digestOf(good.manifest),
        });
        await expect(pull(fromRegistry(`${registry.host}/evil/image@${digestOf(good.manifest)}`))).rejects.toThrow();
        // The right manifest, and other content under the names in it.
        for (const [index, digest] of [...good.blobs.keys()].entries()) {
          const repository = `evil/blob${index}`;
          registry.put(repository, good);
          const told = good.blobs.get(digest)!.toString('latin1');
          const lie = Buffer.from(told.replace('good-content', 'evil-content').replace('=made', '=evil'), 'latin1');
          if (digestOf(lie) === digest) continue;
          registry.content.set(`blobs/${digest}`, { body: lie, digest });
          await expect(
            pull(fromRegistry(`${registry.host}/${repository}@${digestOf(good.manifest)}`)),
          ).rejects.toThrow();
          registry.content.set(`blobs/${digest}`, { body: good.blobs.get(digest)! });
        }
        // Part of a list of several.
        const platform = { os: 'linux', architecture: 'amd64' };
        const entry = {
          mediaType: good.mediaType,
          digest: digestOf(good.manifest),
          size: good.manifest.length,
          platform,
        };
        const list = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: indexType, manifests: [entry] }));
        registry.put('evil/image', { manifest: list, mediaType: indexType, blobs: new Map() }, 'list');
        await expect(pull(fromRegistry(`${registry.host}/evil/image:list`))).rejects.toThrow();
        // Nobody who uses that digest gets anything else.
        expect(await says(fromRegistry(pinned), look)).toBe('./;./good good-content;');
      } finally {
        await honest.close();
      }
    });

    it('takes a digest for a digest only: no name of a file', async () => {
      await transport.shell('echo "1 1 another-boot" >victim');
      const made = registryContent(await layered([folder('data'), file('data/t', 'T')]));
      const { tagged } = registry.put('traversal/image', made);
      for (const digest of ['../../victim', 'sha256:../../../victim', `sha256:${'0'.repeat(64)}/../../victim`]) {
        registry.content.set('traversal/image/manifests/latest', {
          body: made.manifest,
          mediaType: made.mediaType,
          digest,
        });
        expect(await says(fromRegistry(tagged), look)).toBe('./;./t T;');
        expect(await transport.shell('cat victim')).toBe('1 1 another-boot\n');
      }
      for (const sum of ['../../victim', '0', 'A'.repeat(64)]) {
        await expect(pull(archive(Buffer.from('x'), sum))).rejects.toMatchObject({
          code: 'checksum',
          message: expect.stringContaining('64 hexadecimal digits') as string,
        });
      }
      expect(await transport.shell('cat victim; rm victim')).toBe('1 1 another-boot\n');
    });

    it('gives what was pulled with a credential to who shows one only', async () => {
      const secret = registryContent(await layered([folder('data'), file('data/secret', 'S')]));
      const credential = { username: 'owner', token: 'right' };
      const accepted = `Basic ${Buffer.from('owner:right').toString('base64')}`;
      const locked = await startMadeRegistry();
      locked.intercept = (request, response) => {
        if (request.headers.authorization === accepted) return false;
        response.writeHead(401, { 'www-authenticate': 'Basic realm="locked"' }).end();
        return true;
      };
      try {
        const { pinned, tagged } = locked.put('secret/image', secret);
        const source = { kind: 'registry', reference: pinned, insecure: true } as const;
        expect(await says({ ...source, credential }, look)).toBe('./;./secret S;');
        const unauthorized = { code: 'unauthorized' };
        for (const reference of [pinned, tagged]) {
          await expect(pull({ ...source, reference })).rejects.toMatchObject(unauthorized);
          const wrong = { ...source, reference, credential: { username: 'owner', token: 'guessed' } };
          await expect(pull(wrong)).rejects.toMatchObject(unauthorized);
        }
        // A registry that says of everything that it has it, and has nothing.
        registry.intercept = (request, response) => {
          if (request.method !== 'HEAD') return false;
          response.writeHead(200, { 'docker-content-digest': digestOf(secret.manifest) }).end();
          return true;
        };
        for (const name of [`@${digestOf(secret.manifest)}`, ':any']) {
          await expect(pull(fromRegistry(`${registry.host}/secret/image${name}`))).rejects.toThrow();
        }
        registry.intercept = undefined;
        expect(await pull({ ...source, credential })).toMatchObject({ status: 'cached' });
      } finally {
        registry.intercept = undefined;
        await locked.close();
      }
    });

    it('gives nothing for a checksum alone', async () => {
      const content = await dockerArchive([await layered([folder('data'), file('data/mine', 'M')])]);
      const sum = sha256(content);
      const own = { ...archive(content, sum) };
      const imageKey = `${runtime}-own`;
      const pulled = await transport.machine.pullImage({ runtime, imageKey, source: own });
      expect(pulled.status).toBe('completed');
      const absent = { ...own, url: transport.files.url('absent.tar') };
      await expect(pull(absent as ImageSource)).rejects.toMatchObject({ code: 'notFound' });
      await expect(pull(archive(Buffer.from('other bytes'), sum))).rejects.toMatchObject({ code: 'checksum' });
      // From where it was, and from elsewhere with the bytes themselves.
      expect(await transport.machine.pullImage({ runtime, imageKey, source: own })).toMatchObject({ status: 'cached' });
      expect(await pull(archive(content, sum))).toMatchObject({ status: 'cached', fileSha256: pulled.fileSha256 });
    });

    it('refuses an image that unpacks to more than is taken', async () => {
      const small = transport.another({ imageMostBytes: 20e6 });
      const zeros = await layer([file('zeros', '\0'.repeat(60e6))]);
      const made = image([base, zeros]);
      for (const content of [
        await dockerArchive([made]),
        gzipSync(await dockerArchive([image([base, packed(zeros.tar, 'none')])])),
      ]) {
        const source = archive(content);
        const error = await small
          .pullImage({ runtime, imageKey: `${runtime}-large${(last += 1)}`, source })
          .catch((problem: unknown) => problem as Error);
        expect(error).toMatchObject({
          code: 'invalid',
          message: expect.stringMatching(/more than .*GB|too large/) as string,
        });
      }
    });
  });
}
