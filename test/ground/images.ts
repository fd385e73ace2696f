/** Small real images, built here from Debian's packages: no registry of the outside is asked. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, copyFile, mkdir, mkdtemp, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getuid } from 'node:process';
import { promisify } from 'node:util';
import { testComponents } from '../../scripts/components/test-components.ts';
import { thisMachine } from '../../scripts/machine.ts';

const execute = promisify(execFile);
const isRoot = getuid?.() === 0;

/** Kept between test runs: the image never changes. */
export const imageDirectory = isRoot ? '/var/cache/prominence/images' : join(tmpdir(), 'prominence-images');

export interface BuiltImage {
  /** Path of a docker archive. */
  archive: string;
  /** Path and tag of the OCI layout, as skopeo and umoci take it. */
  oci: string;
}

/** A static busybox with all its commands in /bin, `/bin/sh` as entry point and `IMAGE_NAME=busybox`. */
export async function buildBusybox(directory = imageDirectory): Promise<BuiltImage> {
  const built = { archive: join(directory, 'busybox.tar'), oci: `${join(directory, 'oci-busybox')}:latest` };
  if (await exists(built.archive)) return built;
  await mkdir(directory, { recursive: true });
  // Built beside and renamed: several test processes may come here at once.
  const work = await mkdtemp(join(directory, '.build-'));
  try {
    const layout = join(work, 'layout');
    const image = ['--image', `${layout}:latest`];
    const bundle = join(work, 'bundle');
    await execute('umoci', ['init', '--layout', layout]);
    await execute('umoci', ['new', ...image]);
    await execute('umoci', ['unpack', ...(isRoot ? [] : ['--rootless']), ...image, bundle]);
    await fillRoot(join(bundle, 'rootfs'));
    await execute('umoci', ['repack', ...image, bundle]);
    const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
    const settings = ['--config.cmd', '/bin/sh', '--config.env', `PATH=${path}`, '--config.env', 'IMAGE_NAME=busybox'];
    await execute('umoci', ['config', ...image, ...settings, '--os', 'linux', '--architecture', 'amd64']);
    const archive = join(work, 'busybox.tar');
    await execute('skopeo', ['copy', `oci:${layout}:latest`, `docker-archive:${archive}:test/busybox:latest`]);
    await chmod(archive, 0o644);
    await rm(built.oci.replace(/:latest$/, ''), { recursive: true, force: true });
    await rename(layout, built.oci.replace(/:latest$/, ''));
    await rename(archive, built.archive);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return built;
}

/** A SIF of an image, as a user would have made it. */
export async function buildSif(apptainer: string, image: BuiltImage, file: string): Promise<void> {
  await execute(apptainer, ['-s', 'build', '--force', file, `docker-archive:${image.archive}`]);
  await chmod(file, 0o644);
}

/** The same with an app called `greet`, which says the words it gets. */
export async function buildSifWithApp(apptainer: string, image: BuiltImage, file: string): Promise<void> {
  const root = `${file}.root`;
  await execute(apptainer, ['-s', 'build', '--sandbox', root, `docker-archive:${image.archive}`]);
  // What `%apprun` of a definition file makes; a definition can't be built by every root.
  const app = join(root, 'scif/apps/greet/scif');
  await mkdir(app, { recursive: true });
  await writeFile(join(app, 'runscript'), '#!/bin/sh\necho "app says $*"\n', { mode: 0o755 });
  await execute(apptainer, ['-s', 'build', '--force', file, root]);
  await chmod(file, 0o644);
}

/**
 * With the test programs /opt/mpi/hello and /opt/mpi/ring.
 * @returns a docker archive
 * @throws when it is missing, with how to get it
 */
export async function findMpiImage(flavour: 'openmpi' | 'mpich'): Promise<string> {
  const found = await testComponents(thisMachine())
    .find(({ name }) => name === 'MPI images')
    ?.find();
  if (!found) throw new Error('the MPI images are not set up: run npm run setup -- --tests');
  return join(found.path, `${flavour}.tar`);
}

/** Another image that differs in a file of random bytes, so that nobody has it yet, in a folder for the test to remove. */
export async function variantOf(image: BuiltImage, folder: string): Promise<BuiltImage> {
  const layout = join(await mkdtemp(join(folder, 'image-')), 'layout');
  await execute('cp', ['-r', image.oci.replace(/:latest$/, ''), layout]);
  const file = `${layout}.random`;
  await writeFile(file, randomBytes(200_000));
  await execute('umoci', ['insert', '--image', `${layout}:latest`, file, '/random']);
  return { archive: '', oci: `${layout}:latest` };
}

async function fillRoot(root: string): Promise<void> {
  const folders = 'bin etc proc sys dev tmp root home usr run mnt opt var/tmp'.split(' ');
  for (const folder of folders) await mkdir(join(root, folder), { recursive: true });
  await chmod(root, 0o755);
  await chmod(join(root, 'tmp'), 0o1777);
  await chmod(join(root, 'var/tmp'), 0o1777);
  await writeFile(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
  await writeFile(join(root, 'etc/group'), 'root:x:0:\n');
  // What a runtime binds over must be there.
  for (const file of ['hosts', 'resolv.conf', 'hostname', 'localtime']) await writeFile(join(root, 'etc', file), '');
  const { stdout: busybox } = await execute('sh', ['-c', 'command -v busybox']);
  await copyFile(busybox.trim(), join(root, 'bin/busybox'));
  const { stdout: commands } = await execute('busybox', ['--list']);
  for (const command of commands.trim().split('\n')) {
    if (command !== 'busybox') await symlink('busybox', join(root, 'bin', command));
  }
}

async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}

/** The same image with more variables in its environment, in a folder for the test to remove. */
export async function withEnvironment(image: BuiltImage, folder: string, entries: string[]): Promise<BuiltImage> {
  const work = await mkdtemp(join(folder, 'image-'));
  const [layout, archive] = [join(work, 'layout'), join(work, 'image.tar')];
  await execute('cp', ['-r', image.oci.replace(/:latest$/, ''), layout]);
  const settings = entries.flatMap((entry) => ['--config.env', entry]);
  await execute('umoci', ['config', '--image', `${layout}:latest`, ...settings]);
  await execute('skopeo', ['copy', `oci:${layout}:latest`, `docker-archive:${archive}:test/environment:latest`]);
  return { archive, oci: `${layout}:latest` };
}
