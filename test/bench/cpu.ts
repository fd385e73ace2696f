/**
 * CPU time of the parts of the stack, from /proc. The kernel adds a process's time to its parent's account when the
 * parent waits for it, so a part is what its living processes used plus what those had waited for. Linux only.
 */
import { readdirSync, readFileSync } from 'node:fs';
import type { Stack } from '../../scripts/stack/stack.ts';
import type { Reaper } from './reaper.ts';

/** Milliseconds of CPU since each part was started. */
export interface CpuReading {
  api: number;
  worker: number;
  postgres: number;
  temporal: number;
  /** All that was started on the machine to run jobs: starters, supervisors, the watch, and the containers too. */
  machine: number;
}

export function readCpu(stack: Stack, reaper: Reaper): CpuReading {
  const pid = (child: keyof Stack['children']) => stack.children[child]?.pid;
  const worker = pid('worker');
  const workerItself = worker === undefined ? 0 : (readTimes(worker)?.own ?? 0);
  return {
    api: treeOf(pid('api')),
    worker: workerItself,
    postgres: treeOf(pid('postgres')),
    temporal: treeOf(pid('temporal')),
    // A supervisor leaves its starter at once, and belongs to the reaper from then on.
    machine: treeOf(worker) - workerItself + reaper.waitedFor(),
  };
}

/** What each part used between two readings for each of `units`: jobs, or seconds. */
export function cpuPerUnit(before: CpuReading, after: CpuReading, units: number): CpuReading {
  const spent = (part: keyof CpuReading) => (after[part] - before[part]) / units;
  return {
    api: spent('api'),
    worker: spent('worker'),
    postgres: spent('postgres'),
    temporal: spent('temporal'),
    machine: spent('machine'),
  };
}

/** Ticks of all cores since boot. */
export interface BusyReading {
  busy: number;
  all: number;
}

export function readBusy(): BusyReading {
  const [line = ''] = readFileSync('/proc/stat', 'utf8').split('\n');
  const ticks = line.split(/\s+/).slice(1, 9).map(Number);
  const all = ticks.reduce((sum, each) => sum + each, 0);
  // Fields 4 and 5: idle, and idle with a disk at work.
  return { busy: all - (ticks[3] ?? 0) - (ticks[4] ?? 0), all };
}

/** From 0 to 1. */
export const busySince = (before: BusyReading, after: BusyReading): number =>
  (after.busy - before.busy) / (after.all - before.all);

/** Milliseconds of a process and everything below it, ended or not. */
export function treeOf(root: number | undefined): number {
  if (root === undefined) return 0;
  const times = readTimes(root);
  if (!times) return 0;
  return times.own + times.waitedFor + childrenOf(root).reduce((sum, child) => sum + treeOf(child), 0);
}

export function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
      readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
    );
  } catch (error) {
    if (isGone(error)) return [];
    throw error;
  }
}

/** Milliseconds of the process itself and of the children it waited for; undefined when there is no such process. */
export function readTimes(pid: number): { own: number; waitedFor: number } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // Fields are counted from the last bracket, as the program's name may hold spaces: utime is field 14.
    const fields = stat
      .slice(stat.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number);
    const [user, system, childrenUser, childrenSystem] = fields.slice(11, 15) as [number, number, number, number];
    return { own: (user + system) * tickMs, waitedFor: (childrenUser + childrenSystem) * tickMs };
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

/** The kernel tells user space hundredths of a second, whatever its own tick is. */
const tickMs = 10;

function isGone(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ESRCH';
}
