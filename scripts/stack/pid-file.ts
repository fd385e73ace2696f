/** Files that say which process plays a part in a home, so that a later start can find what an earlier one left. */
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { identify, isAlive, signal, type ProcessIdentity } from './process-identity.ts';

/** The process the file names, if it still runs. */
export function readLive(file: string): ProcessIdentity | undefined {
  const identity = read(file);
  return identity && isAlive(identity) ? identity : undefined;
}

export function record(file: string, pid: number): void {
  const identity = identify(pid);
  if (!identity) return;
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(`${file}.new`, JSON.stringify(identity));
  renameSync(`${file}.new`, file);
}

export function forget(file: string): void {
  rmSync(file, { force: true });
}

/**
 * Makes this process the one that holds the file. Two processes can't both succeed: a file appears complete (link), and
 * a stale one is moved away before it is judged again.
 * @returns undefined on success, else the live process that holds it
 */
export function claim(file: string): ProcessIdentity | undefined {
  mkdirSync(dirname(file), { recursive: true });
  const own = `${file}.${process.pid}`;
  writeFileSync(own, JSON.stringify(identify(process.pid)));
  try {
    for (;;) {
      try {
        linkSync(own, file);
        return undefined;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
      const holder = readLive(file);
      if (holder) return holder;
      const stale = `${own}.stale`;
      try {
        renameSync(file, stale);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
        continue;
      }
      // Another process may have claimed it between the look and the move: then it goes back.
      const moved = readLive(stale);
      if (moved) renameSync(stale, file);
      else rmSync(stale, { force: true });
      if (moved) return moved;
    }
  } finally {
    rmSync(own, { force: true });
  }
}

/** TERM (or what the program calls an orderly stop), then KILL. Waits for the end. */
export async function end(
  identity: ProcessIdentity,
  options: { signal: NodeJS.Signals; graceSeconds: number },
): Promise<void> {
  signal(identity, options.signal);
  if (await gone(identity, options.graceSeconds)) return;
  signal(identity, 'SIGKILL');
  if (!(await gone(identity, 10))) throw new Error(`process ${identity.pid} did not end after SIGKILL`);
}

async function gone(identity: ProcessIdentity, seconds: number): Promise<boolean> {
  const deadline = Date.now() + seconds * 1000;
  while (isAlive(identity)) {
    if (Date.now() > deadline) return false;
    await sleep(30);
  }
  return true;
}

function read(file: string): ProcessIdentity | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as ProcessIdentity;
  } catch {
    // Not there, or cut off by a crash while it was first written: nobody is named.
    return undefined;
  }
}
