/** Processes of this machine, seen from outside of containers. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Command lines that hold a word. */
export function processesWith(word: string): string[] {
  return pids()
    .map(commandLine)
    .filter((line) => line.includes(word));
}

/** Of those that work in a folder or below it: what others call the same is elsewhere. */
export function processesIn(folder: string, word: string): string[] {
  return pids()
    .filter((pid) => `${workingDirectory(pid)}/`.startsWith(`${folder}/`))
    .map(commandLine)
    .filter((line) => line.includes(word));
}

const pids = (): string[] => readdirSync('/proc').filter((name) => /^\d+$/.test(name));

function workingDirectory(pid: string): string {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    // It ended meanwhile, or is another user's.
    return '';
  }
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    // It ended meanwhile.
    return '';
  }
}
