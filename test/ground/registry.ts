/** A real image registry (Debian's docker-registry), empty at first, with or without a password. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { pickPort } from '../../scripts/stack/ports.ts';
import type { BuiltImage } from './images.ts';

const execute = promisify(execFile);

export interface RegistryOptions {
  /** Loopback, or the test bed's bridge (10.77.0.1) for its nodes. */
  address: string;
  /** Default: a free one. */
  port?: number;
  credentials?: { username: string; password: string };
}

export interface TestRegistry {
  /** `address:port`. Speaks plain HTTP. */
  readonly host: string;
  /** @returns the whole reference, without `docker://` */
  push(image: BuiltImage, name: string): Promise<string>;
  stop(): Promise<void>;
}

export async function startRegistry({ address, port, credentials }: RegistryOptions): Promise<TestRegistry> {
  const folder = await mkdtemp(join(tmpdir(), 'prominence-registry-'));
  const host = `${address}:${port ?? (await pickPort(undefined, new Set()))}`;
  const settings = [
    'version: 0.1',
    `storage: {filesystem: {rootdirectory: ${folder}/data}, delete: {enabled: true}}`,
    `http: {addr: '${host}', draintimeout: 1s}`,
    'log: {level: error, accesslog: {disabled: true}}',
  ];
  if (credentials) {
    const { stdout } = await execute('htpasswd', ['-Bbn', credentials.username, credentials.password]);
    await writeFile(join(folder, 'htpasswd'), stdout);
    settings.push(`auth: {htpasswd: {realm: test, path: ${folder}/htpasswd}}`);
  }
  await writeFile(join(folder, 'registry.yml'), `${settings.join('\n')}\n`);
  const child = spawn('docker-registry', ['serve', join(folder, 'registry.yml')], { stdio: 'ignore' });
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await answers(`http://${host}/v2/`, () => child.exitCode === null);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    host,
    stop,
    async push(image, name) {
      const login = credentials ? ['--dest-creds', `${credentials.username}:${credentials.password}`] : [];
      const target = `docker://${host}/${name}`;
      await execute('skopeo', ['copy', '--dest-tls-verify=false', ...login, `oci:${image.oci}`, target]);
      return `${host}/${name}`;
    },
  };
}

async function answers(url: string, isAlive: () => boolean): Promise<void> {
  const deadline = Date.now() + 90_000;
  while (isAlive() && Date.now() < deadline) {
    const response = await fetch(url).catch(() => undefined);
    if (response) return;
    await sleep(50);
  }
  throw new Error(`the registry at ${url} does not answer`);
}
