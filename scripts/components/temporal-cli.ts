/** The Temporal CLI, which holds the dev server and its web UI. */
import { createWriteStream, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { extract } from 'tar-stream';
import { findOnPath, isExecutableFile, run } from '../command.ts';
import type { Machine } from '../machine.ts';
import { checksumIn, verified } from './checksum.ts';
import type { Component, Found, Way } from './component.ts';
import { findInCache, goInstall } from './go-install.ts';

const version = 'v1.5.1';
/** Long enough for a slow line, short enough that a closed machine goes on to the next way. */
const answerWithinMs = 4000;

/** Only where it lies; whether it works is asked by set-up. */
export function findTemporalCli(machine: Machine): Found | undefined {
  const given = machine.env['TEMPORAL_CLI'];
  if (given && isExecutableFile(given)) return { path: given, from: 'TEMPORAL_CLI' };
  const onPath = findOnPath('temporal', machine.env);
  if (onPath) return { path: onPath, from: 'PATH' };
  const cached = findInCache(machine, 'temporal');
  return cached ? { path: cached, from: 'cache' } : undefined;
}

export function temporalCli(machine: Machine): Component {
  return {
    name: 'Temporal CLI',
    purpose: 'run the Temporal dev server',
    advice:
      'install it as https://docs.temporal.io/cli says, or install Go 1.24 or newer (https://go.dev/dl) and run npm run setup again, or set TEMPORAL_CLI to the program',
    async find() {
      const found = findTemporalCli(machine);
      return found && (await run(found.path, ['--version'])).code === 0 ? found : undefined;
    },
    ways: [
      vendorDownload(machine),
      goInstall(machine, {
        module: `github.com/temporalio/cli/cmd/temporal@${version}`,
        as: 'temporal',
        takes: 'about 3 minutes',
      }),
    ],
  };
}

/** The release's own archive, which must have the checksum that the release lists. */
function vendorDownload(machine: Machine): Way {
  const architecture = process.arch === 'x64' ? 'amd64' : process.arch;
  const archive = `temporal_cli_${version.slice(1)}_${process.platform}_${architecture}.tar.gz`;
  const release = `https://github.com/temporalio/cli/releases/download/${version}`;
  return {
    name: 'downloading its release from github.com',
    takes: 'about 20 s',
    obstacle: () => Promise.resolve(undefined),
    async obtain() {
      const list = await download(`${release}/checksums.txt`, AbortSignal.timeout(answerWithinMs));
      const bytes = await download(`${release}/${archive}`);
      verified(archive, bytes, checksumIn(list.toString('utf8'), archive));
      await unpackOne(Readable.from([bytes]), 'temporal', join(machine.cache, 'bin', 'temporal'));
    },
  };
}

async function download(url: string, signal?: AbortSignal): Promise<Buffer> {
  const answer = await fetch(url, signal ? { signal } : {});
  if (!answer.ok) throw new Error(`${url} answered ${answer.status}`);
  return Buffer.from(await answer.arrayBuffer());
}

/** Writes one member of a .tar.gz to the target, which appears only when it is complete. */
async function unpackOne(archive: Readable, member: string, target: string): Promise<void> {
  mkdirSync(join(target, '..'), { recursive: true });
  const partial = `${target}.part.${process.pid}`;
  let isThere = false;
  const members = extract();
  const unpacked = pipeline(archive, createGunzip(), members);
  try {
    for await (const entry of members) {
      if (entry.header.name === member) {
        await pipeline(entry, createWriteStream(partial, { mode: 0o755 }));
        isThere = true;
      } else {
        entry.resume();
      }
    }
    await unpacked;
    if (!isThere) throw new Error(`the archive holds no ${member}`);
    renameSync(partial, target);
  } finally {
    rmSync(partial, { force: true });
  }
}
