/** A static busybox: what the example's image is made of on a machine that reaches no registry. */
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findOnPath, runOrThrow } from '../command.ts';
import type { Machine } from '../machine.ts';
import { aptObstacle } from './apt.ts';
import type { Component, Found } from './component.ts';
import { isStaticExecutable } from './elf.ts';
import { findInCache } from './go-install.ts';

function findStaticBusybox(machine: Machine): Found | undefined {
  const onPath = findOnPath('busybox', machine.env);
  if (onPath && isStatic(onPath)) return { path: onPath, from: 'PATH' };
  const cached = findInCache(machine, 'busybox');
  return cached && isStatic(cached) ? { path: cached, from: 'cache' } : undefined;
}

export function staticBusybox(machine: Machine): Component {
  return {
    name: 'static busybox',
    purpose: 'make an image for the example where no registry can be reached',
    advice: 'install it with your package manager (Debian: busybox-static; Fedora: busybox)',
    find: () => Promise.resolve(findStaticBusybox(machine)),
    ways: [
      {
        name: 'unpacking the Debian package busybox-static',
        takes: 'a few seconds',
        obstacle: () => Promise.resolve(aptObstacle(machine)),
        obtain: () => unpackPackage(machine),
      },
    ],
  };
}

/** Downloading and unpacking a package needs no root, unlike installing it. */
async function unpackPackage(machine: Machine): Promise<void> {
  const work = mkdtempSync(join(tmpdir(), 'prominence-busybox-'));
  try {
    await runOrThrow('apt-get', ['-q', 'download', 'busybox-static'], { cwd: work, env: machine.env });
    const archive = readdirSync(work).find((name) => name.endsWith('.deb'));
    if (!archive) throw new Error('apt-get downloaded nothing');
    await runOrThrow('dpkg-deb', ['-x', archive, 'root'], { cwd: work, env: machine.env });
    const program = ['bin/busybox', 'usr/bin/busybox'].map((name) => join(work, 'root', name)).find(existsSync);
    if (!program) throw new Error('the package holds no busybox');
    const target = join(machine.cache, 'bin', 'busybox');
    mkdirSync(join(machine.cache, 'bin'), { recursive: true });
    await runOrThrow('cp', [program, `${target}.part`]);
    renameSync(`${target}.part`, target);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function isStatic(path: string): boolean {
  const descriptor = openSync(path, 'r');
  try {
    const head = Buffer.alloc(4096);
    return isStaticExecutable(head.subarray(0, readSync(descriptor, head, 0, head.length, 0)));
  } finally {
    closeSync(descriptor);
  }
}
