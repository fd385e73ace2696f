/** podman and a client of docker, which tests run jobs with. Nothing here starts a daemon. */
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findOnPath, runOrThrow } from '../command.ts';
import type { Machine } from '../machine.ts';
import { aptObstacle, debianProgram } from './apt.ts';
import type { Component, Found } from './component.ts';
import { findInCache } from './go-install.ts';

const purpose = 'run containers of jobs by podman and docker';

export function containerEngines(machine: Machine): Component[] {
  return [
    debianProgram(machine, 'podman', 'podman', purpose),
    debianProgram(machine, 'runc', 'runc', purpose),
    debianProgram(machine, 'newuidmap', 'uidmap', purpose),
    debianProgram(machine, 'catatonit', 'catatonit', purpose),
    dockerClient(machine),
  ];
}

export function findDockerClient(machine: Machine): Found | undefined {
  const onPath = findOnPath('docker', machine.env);
  if (onPath) return { path: onPath, from: 'PATH' };
  const cached = findInCache(machine, 'docker');
  return cached ? { path: cached, from: 'cache' } : undefined;
}

function dockerClient(machine: Machine): Component {
  return {
    name: 'docker client',
    purpose,
    advice: 'install it as https://docs.docker.com/engine/install says (Debian: docker.io or docker-cli)',
    find: () => Promise.resolve(findDockerClient(machine)),
    ways: [
      {
        name: 'unpacking the client of a Debian package',
        takes: 'about 10 s',
        obstacle: () => Promise.resolve(aptObstacle(machine)),
        obtain: () => unpackClient(machine),
      },
    ],
  };
}

/** Unpacked and not installed: the package that holds the client may bring the daemon along. */
async function unpackClient(machine: Machine): Promise<void> {
  const work = mkdtempSync(join(tmpdir(), 'prominence-docker-'));
  const options = { cwd: work, env: machine.env };
  try {
    await runOrThrow('apt-get', ['-q', 'download', 'docker-cli'], options).catch(() =>
      runOrThrow('apt-get', ['-q', 'download', 'docker.io'], options),
    );
    const archive = readdirSync(work).find((name) => name.endsWith('.deb'));
    if (!archive) throw new Error('apt-get downloaded nothing');
    await runOrThrow('dpkg-deb', ['-x', archive, 'root'], options);
    const target = join(machine.cache, 'bin', 'docker');
    mkdirSync(join(machine.cache, 'bin'), { recursive: true });
    await runOrThrow('cp', [join(work, 'root/usr/bin/docker'), `${target}.part`]);
    renameSync(`${target}.part`, target);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
