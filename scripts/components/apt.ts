/** Packages of Debian and its relatives. Installing needs root; looking does not. */
import { existsSync, readFileSync } from 'node:fs';
import { findOnPath, run, runOrThrow } from '../command.ts';
import type { Machine } from '../machine.ts';
import type { Component, Way } from './component.ts';

export function aptObstacle(machine: Machine): string | undefined {
  return findOnPath('apt-get', machine.env) ? undefined : 'there is no apt-get';
}

export async function aptPackageOffered(name: string): Promise<boolean> {
  const { stdout } = await run('apt-cache', ['policy', name]);
  return /^ *Candidate: (?!\(none\))\S/m.test(stdout);
}

/** Debian itself, not a relative: packages of its suites fit. */
export function isDebian(): boolean {
  const file = '/etc/os-release';
  return existsSync(file) && /^ID=debian$/m.test(readFileSync(file, 'utf8'));
}

export function aptInstall(machine: Machine, packages: readonly string[]): Way {
  return {
    name: `apt-get install ${packages.join(' ')}`,
    takes: 'up to a minute',
    rootCommand: `apt-get install -y ${packages.join(' ')}`,
    obstacle: () => Promise.resolve(aptObstacle(machine)),
    async obtain() {
      const env = { ...machine.env, DEBIAN_FRONTEND: 'noninteractive' };
      const install = ['-q', '-o', 'DPkg::Lock::Timeout=300', 'install', '-y', '--no-install-recommends', ...packages];
      try {
        await runOrThrow('apt-get', install, { env });
      } catch {
        // A fresh machine has no package lists yet.
        await runOrThrow('apt-get', ['-q', 'update'], { env });
        await runOrThrow('apt-get', install, { env });
      }
    },
  };
}

/** A program that a Debian package brings. */
export function debianProgram(machine: Machine, program: string, packageName: string, purpose: string): Component {
  return {
    name: program,
    purpose,
    advice: `install it with your package manager (Debian: ${packageName})`,
    find() {
      const path = findOnPath(program, { ...machine.env, PATH: `${machine.env['PATH'] ?? ''}:/usr/sbin:/sbin` });
      return Promise.resolve(path ? { path, from: 'PATH' } : undefined);
    },
    ways: [aptInstall(machine, [packageName])],
  };
}
