/** Obtaining a program with the Go toolchain: on a machine that reaches only package managers, the way to get it. */
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { findOnPath, runOrThrow } from '../command.ts';
import type { Machine } from '../machine.ts';
import type { Way } from './component.ts';

export interface GoProgram {
  /** Import path with version: `example.com/cmd/thing@v1.2.3`. */
  module: string;
  /** What it is called in the cache's bin folder. */
  as: string;
  takes: string;
}

export function goInstall(machine: Machine, program: GoProgram): Way {
  return {
    name: `go install ${program.module}`,
    takes: program.takes,
    obstacle: () => Promise.resolve(findOnPath('go', machine.env) ? undefined : 'Go is not on PATH'),
    async obtain() {
      const bin = join(machine.cache, 'bin');
      mkdirSync(bin, { recursive: true });
      const staging = mkdtempSync(join(machine.cache, 'go-'));
      try {
        await runOrThrow('go', ['install', program.module], { env: { ...machine.env, GOBIN: staging }, cwd: staging });
        const built = join(staging, basename(program.module.split('@')[0] ?? ''));
        renameSync(built, join(bin, program.as));
      } finally {
        rmSync(staging, { recursive: true, force: true });
      }
    },
  };
}

/** A program in the bin folder of a cache. */
export function findInCache(machine: Machine, name: string): string | undefined {
  return machine.caches.map((cache) => join(cache, 'bin', name)).find((path) => existsSync(path));
}
