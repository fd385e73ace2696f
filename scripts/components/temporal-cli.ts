/** The Temporal CLI, which holds the dev server and its web UI. */
import { createWriteStream, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { extract } from 'tar-stream';
import { findOnPath, isExecutableFile, run } from '../command.ts';
import type { Machine } from '../machine.ts';
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

function vendorDownload(machine: Machine): Way {
  const platform = process.platform;
  const architecture = process.arch === 'x64' ? 'amd64' : process.arch;
  const query = new URLSearchParams({ platform, arch: architecture, format: 'tar.gz', 'sdk-name': 'sdk-typescript' });
  const about = `https://temporal.download/cli/${version}?${query}`;
  return {
    name: 'downloading it from temporal.download',
    takes: 'about 20 s',
    obstacle: () => Promise.resolve(undefined),
    async obtain() {
      const answer = await fetch(about, { signal: AbortSignal.timeout(answerWithinMs) });
      if (!answer.ok) throw new Error(`temporal.download answered ${answer.status}`);
      const { archiveUrl, fileToExtract } = (await answer.json()) as { archiveUrl: string; fileToExtract: string };
      const archive = await fetch(archiveUrl);
      if (!archive.ok || !archive.body) throw new Error(`${archiveUrl} answered ${archive.status}`);
      await unpackOne(Readable.fromWeb(archive.body), fileToExtract, join(machine.cache, 'bin', 'temporal'));
    },
  };
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
