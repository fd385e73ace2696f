/** The image cache of a machine, over any kind of host, with a real registry. */
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ImageRequest, ImageSource, MachineWatch } from '../../../hosts/machine.ts';
import { buildBusybox, buildSif, type BuiltImage } from '../../ground/images.ts';
import { startRegistry, type TestRegistry } from '../../ground/registry.ts';
import { deployment, launchOf, newRun, output, resultOf, sh } from './runs.ts';
import { apptainerDirectory, type Transport } from './transports.ts';

const credentials = { username: 'puller', password: `s3cret,"'$x` };

export function describeImages(name: string, address: string, open: () => Promise<Transport>): void {
  describe(`images on ${name}`, () => {
    let transport: Transport;
    let busybox: BuiltImage;
    let openRegistry: TestRegistry;
    let lockedRegistry: TestRegistry;
    let watch: MachineWatch;
    let folder: string;
    let sif: Buffer;
    beforeAll(async () => {
      transport = await open();
      busybox = await buildBusybox();
      folder = mkdtempSync(join(tmpdir(), 'prominence-images-'));
      await buildSif(join(apptainerDirectory, 'apptainer'), busybox, join(folder, 'busybox.sif'));
      sif = readFileSync(join(folder, 'busybox.sif'));
      [openRegistry, lockedRegistry] = await Promise.all([
        startRegistry({ address }),
        startRegistry({ address, credentials }),
      ]);
      watch = await transport.machine.watch(deployment);
    });
    afterAll(async () => {
      watch?.close();
      await Promise.all([openRegistry?.stop(), lockedRegistry?.stop(), transport?.close()]);
      rmSync(folder, { recursive: true, force: true });
    });
    let lastKey = 0;
    const request = (source: ImageSource): ImageRequest => ({
      runtime: 'singularity',
      imageKey: `key${(lastKey += 1)}`,
      source,
    });
    const pull = (image: ImageRequest) => transport.machine.pullImage(image);
    const registry = (reference: string, credential?: { username: string; token: string }): ImageRequest =>
      request({ kind: 'registry', reference, insecure: true, ...(credential ? { credential } : {}) });
    const download = (path: string, content: Buffer, archive: boolean, sha256?: string): ImageRequest => {
      transport.files.files.set(path, content);
      return request({ kind: 'download', url: transport.files.url(path), archive, ...(sha256 ? { sha256 } : {}) });
    };
    const leftovers = () => transport.shell('ls images/tmp images/locks');

    it('pulls from a registry once per digest, and runs what it pulled', async () => {
      const reference = await openRegistry.push(busybox, 'test/busybox:1');
      const image = await pull(registry(reference));
      expect(image).toMatchObject({ status: 'completed', digest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/) });
      const otherTag = await openRegistry.push(busybox, 'test/busybox:2');
      expect(await pull(registry(otherTag))).toMatchObject({
        status: 'cached',
        fileSha256: image.fileSha256,
        sizeBytes: image.sizeBytes,
        digest: image.digest,
      });
      const run = newRun();
      await transport.machine.startTask(run, launchOf(image, sh('echo $IMAGE_NAME')));
      await resultOf(watch, run);
      expect(await output(watch, run)).toBe('busybox\n');
      expect((await leftovers()).replaceAll(/images\/\w+:|\s/g, '')).toBe('');
    });

    it('pulls with a password, and keeps what each source refused apart', async () => {
      const reference = await lockedRegistry.push(busybox, 'private/busybox:latest');
      const { username, password: token } = credentials;
      expect(await pull(registry(reference, { username, token }))).toMatchObject({ digest: expect.any(String) });
      await expect(pull(registry(reference))).rejects.toMatchObject({ code: 'unauthorized' });
      await expect(pull(registry(reference, { username, token: 'wrong' }))).rejects.toMatchObject({
        code: 'unauthorized',
      });
      await expect(pull(registry(`${openRegistry.host}/test/absent:1`))).rejects.toMatchObject({ code: 'notFound' });
      await expect(pull(registry(`${address}:1/test/x:1`))).rejects.toMatchObject({
        code: 'transient',
        message: expect.stringContaining('refused'),
      });
      await expect(pull(registry('Not A Reference'))).rejects.toMatchObject({ code: 'invalid' });
    });

    it('takes docker archives, packed or not, and SIF files from a URL', async () => {
      const tar = readFileSync(busybox.archive);
      const sum = (content: Buffer) => createHash('sha256').update(content).digest('hex');
      const first = await pull(download('a.tar', tar, true, sum(tar)));
      expect(first).toMatchObject({ status: 'completed' });
      expect(await pull(download('b.tar', tar, true, sum(tar)))).toMatchObject({
        status: 'cached',
        fileSha256: first.fileSha256,
      });
      const packed = await pull(download('c.tgz', gzipSync(tar), true));
      const image = await pull(download('d.sif', sif, false));
      expect(image).toMatchObject({ status: 'completed', fileSha256: sum(sif), sizeBytes: sif.length });
      for (const one of [packed, image]) {
        const run = newRun();
        await transport.machine.startTask(run, launchOf(one, ['true']));
        expect(await resultOf(watch, run)).toMatchObject({ exitCode: 0 });
      }
    });

    it('says why a download is no image', async () => {
      const tar = readFileSync(busybox.archive);
      const page = Buffer.from('<html>please log in</html>');
      await expect(pull(download('e.tar', tar, true, '0'.repeat(64)))).rejects.toMatchObject({ code: 'checksum' });
      await expect(pull(download('f.sif', page, false))).rejects.toMatchObject({ code: 'invalid' });
      await expect(pull(download('g.tar', page, true))).rejects.toMatchObject({ code: 'invalid' });
      const absent = request({ kind: 'download', url: transport.files.url('absent'), archive: false });
      await expect(pull(absent)).rejects.toMatchObject({ code: 'notFound', message: 'the server answered 404' });
      const closed = request({ kind: 'download', url: 'http://127.0.0.1:1/x?secret', archive: false });
      const error = await pull(closed).catch((problem: unknown) => problem as Error);
      expect(error).toMatchObject({ code: 'transient' });
      expect((error as Error).message).not.toContain('secret');
    });

    it('takes files of the machine by their path, from folders that are allowed only', async () => {
      transport.files.files.set('busybox.tar', readFileSync(busybox.archive)).set('image', sif);
      const folder = (await transport.shell('mktemp -d')).trim();
      const get = (name: string, as: string) =>
        `printf 'url = "%s"\\n' '${transport.files.url(name).replaceAll('"', '%22')}' | curl -s -g -K - -o '${folder}/${as}'`;
      await transport.shell(`${get('busybox.tar', 'an image.tar')}; ${get('image', 'image.sif')}`);
      await transport.shell(`ln -s /etc/passwd ${folder}/link.sif; ln -s "$PWD/images" ${folder}/images`);
      const path = (name: string, directories = [folder]) =>
        request({ kind: 'path', path: `${folder}/${name}`, directories, archive: name.endsWith('.tar') });
      const first = await pull(path('image.sif'));
      expect(first).toMatchObject({ fileSha256: createHash('sha256').update(sif).digest('hex') });
      expect(await pull(path('image.sif'))).toMatchObject({ status: 'cached', fileSha256: first.fileSha256 });
      const archive = await pull(path('an image.tar'));
      const run = newRun();
      await transport.machine.startTask(run, launchOf(archive, ['true']));
      expect(await resultOf(watch, run)).toMatchObject({ exitCode: 0 });
      await expect(pull(path('absent.sif'))).rejects.toMatchObject({ code: 'notFound' });
      for (const refused of [
        path('link.sif'),
        path('image.sif', []),
        path('image.sif', [`${folder}/other`]),
        path(`images/${first.fileSha256}.sif`, [folder, '/']),
      ]) {
        await expect(pull(refused)).rejects.toMatchObject({
          code: 'notFound',
          message: expect.stringContaining('not in a folder that images may come from') as string,
        });
      }
      await transport.shell(`rm -r ${folder}`);
    });

    it('tries a download again that failed for the moment', async () => {
      const image = download('flaky.tar', readFileSync(busybox.archive), true);
      transport.files.failWith('flaky.tar', 503, 503);
      expect(await pull(image)).toMatchObject({ status: 'completed' });
      expect(transport.files.requests.filter((line) => line === 'GET flaky.tar')).toHaveLength(3);
    });

    it('downloads once when several processes want the same image at once', async () => {
      const image = download('same.tar', readFileSync(busybox.archive), true);
      const machines = [transport.machine, transport.another(), transport.another()];
      const pulled = await Promise.all([...machines, ...machines].map((machine) => machine.pullImage(image)));
      expect(pulled.filter(({ status }) => status === 'completed')).toHaveLength(1);
      expect(new Set(pulled.map(({ fileSha256 }) => fileSha256)).size).toBe(1);
      expect(transport.files.requests.filter((line) => line === 'GET same.tar')).toHaveLength(1);
    });

    it('takes over from a pull that died, and cleans up after it', async () => {
      const image = download('died.tar', readFileSync(busybox.archive), true);
      await transport.shell(
        `echo '1 1 another-boot' > images/locks/${image.imageKey}; mkdir -p images/tmp/1.1.another-boot/cache; touch images/tmp/1.1.another-boot/x`,
      );
      expect(await pull(image)).toMatchObject({ status: 'completed' });
      expect((await leftovers()).replaceAll(/images\/\w+:|\s/g, '')).toBe('');
    });

    it('evicts the least recently used images, and never from under a run', async () => {
      const small = transport.another({ imageCacheBytes: 1 });
      const used = await pull(download('used.sif', sif, false));
      const run = newRun();
      await transport.machine.startTask(run, launchOf(used, sh('while [ ! -e go ]; do sleep 0.1; done')));
      const next = await small.pullImage(download('evict.tar', readFileSync(busybox.archive), true));
      expect((await transport.shell('ls images/*.sif')).trim()).toBe(`images/${next.fileSha256}.sif`);
      await transport.shell(`touch runs/${deployment}-${run.jobId}.1.0/home/go`);
      expect(await resultOf(watch, run)).toMatchObject({ exitCode: 0 });
      // The next task of the same run still has it; another run is told to pull.
      await transport.machine.startTask(run, launchOf(used, ['true'], { launchNumber: 1 }));
      expect(await resultOf(watch, run, 1)).toMatchObject({ exitCode: 0 });
      expect(await transport.machine.startTask(newRun(), launchOf(used, ['true']))).toEqual({ kind: 'imageMissing' });
    });
  });
}
