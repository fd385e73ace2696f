/**
 * What jobs left on the machine they ran on: processes, mounts, files, shared memory, and secrets in any of it. Looked for
 * by the account they ran as, which must be theirs alone. What the service itself keeps there is known by name.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, type Dirent } from 'node:fs';
import { join, relative } from 'node:path';
import type { JobAccount } from './job-account.ts';
import { eventually } from './rest.ts';

export interface Place {
  account: JobAccount;
  /** Of the sites the jobs ran on. */
  workDirectories: string[];
  /** Texts that must be nowhere, beside those that look like tokens or signed URLs. */
  secrets: string[];
}

/** Wait until nothing is left. @throws with all that is, a line each */
export async function expectNothingLeft(place: Place, seconds = 90): Promise<void> {
  await eventually(
    () => Promise.resolve(leftovers(place).length === 0 ? true : undefined),
    () => `the jobs left on the machine:\n${leftovers(place).join('\n')}`,
    seconds,
    300,
  );
}

/** A line for each thing. */
export function leftovers(place: Place): string[] {
  const kept = place.workDirectories.flatMap((folder) => inWorkDirectory(folder));
  return [
    ...processes(place),
    ...mounts(place),
    ...filesElsewhere(place).map((path) => `file ${path}`),
    ...sharedMemory(place),
    ...kept.filter(({ isOurs }) => !isOurs).map(({ path }) => `file ${path}`),
    ...secretsIn(
      place,
      kept.filter(({ isImage }) => !isImage).map(({ path }) => path),
    ),
  ];
}

/**
 * The service's own: one shell that follows the machine and one that starts launches, per worker, and their naps; and the
 * gateway of jobs' networks, which ends by itself when nobody watches the machine any more.
 */
const ownPrograms =
  /^(unshare .* )?sh lib\/[0-9a-f]{16}\/(watch|starter|gateway)\.sh( |$)|^pasta .* --netns \/run\/netns\/gateway$/;

interface Process {
  pid: number;
  parent: number;
  state: string;
  commandLine: string;
}

function processesOf({ account }: Place): Process[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const status = readFileSync(`/proc/${name}/status`, 'utf8');
        const value = (key: string) => new RegExp(`^${key}:\\s*(.*)$`, 'm').exec(status)?.[1] ?? '';
        if (!value('Uid').split(/\s+/).includes(String(account.uid))) return [];
        const words = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0').join(' ').trim();
        const commandLine = words || `[${value('Name')}]`;
        return [{ pid: Number(name), parent: Number(value('PPid')), state: value('State')[0] ?? '', commandLine }];
      } catch (error) {
        // It ended meanwhile.
        if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return [];
        throw error;
      }
    });
}

function processes(place: Place): string[] {
  const all = processesOf(place);
  const own = new Set(all.filter(({ commandLine }) => ownPrograms.test(commandLine)).map(({ pid }) => pid));
  return (
    all
      .filter(({ pid, parent }) => !own.has(pid) && !own.has(parent))
      // Dead already, and only not yet counted by the machine's first process.
      .filter(({ state, parent }) => !(state === 'Z' && parent === 1))
      .map(({ pid, commandLine }) => `process ${pid}${jobOf(pid)}: ${commandLine}`)
  );
}

function jobOf(pid: number): string {
  const [, id] = /\0PROMINENCE_JOB_ID=(\d+)\0/.exec(contentOf(`/proc/${pid}/environ`)) ?? [];
  return id === undefined ? '' : ` of job ${id}`;
}

/** Those of one's own work directories' making are below them, or tell the account they were made by. */
function mounts({ account, workDirectories }: Place): string[] {
  return readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .filter(
      (line) =>
        workDirectories.some((folder) => line.includes(`${folder}/`)) ||
        new RegExp(`\\b(user_id|uid)=${account.uid}\\b`).test(line),
    )
    .map((line) => `mount ${line}`);
}

const writableByAll = ['/tmp', '/var/tmp', '/dev/shm', '/dev/mqueue', '/run', '/var/crash', '/var/spool'];

function filesElsewhere({ account, workDirectories }: Place): string[] {
  const prune = workDirectories.flatMap((folder) => ['-path', folder, '-prune', '-o']);
  const find = (folder: string, ...tests: string[]) =>
    // Others' files come and go while it looks.
    execFileSync('sh', ['-c', 'find "$@" 2>/dev/null || :', 'sh', folder, ...tests], { encoding: 'utf8' });
  const found = writableByAll.map((folder) => find(folder, ...prune, '-user', account.name, '-print'));
  return [...found, find(account.home, '-mindepth', '1', '-print')].flatMap((each) => each.split('\n').filter(Boolean));
}

/** System V shared memory, semaphores and queues: they outlive their makers. */
function sharedMemory({ account }: Place): string[] {
  return ['shm', 'sem', 'msg'].flatMap((kind) => {
    const [head = '', ...rows] = readFileSync(`/proc/sysvipc/${kind}`, 'utf8').trim().split('\n');
    const column = head.trim().split(/\s+/).indexOf('uid');
    return rows
      .filter((row) => row.trim().split(/\s+/)[column] === String(account.uid))
      .map((row) => `System V ${kind}: ${row.trim().replace(/\s+/g, ' ')}`);
  });
}

/** What the service keeps: its scripts, the image cache and what that is found by, the runtimes' own folders. */
const kept: RegExp[] = [
  /^lib\/[0-9a-f]{16}\/[a-z-]+\.(sh|py)$/,
  /^images\/[0-9a-f]{64}\.(sif|udocker|env)$/,
  /^images\/(index|digests|sources)\/[^/]+$/,
  /^(mounting|own-mounts|(most|usual)-processes)$/,
  /^network\/(lock|(own|podman)\.(state|settings|gateway))$/,
  /^udocker\/(engine|probe)\//,
];
const temporary = /^images\/.*\.\d+$/;

interface Found {
  path: string;
  isOurs: boolean;
  isImage: boolean;
}

/** All files of a work directory; of folders that should not be there only their names. */
function inWorkDirectory(root: string, folder = root): Found[] {
  return entriesOf(folder).flatMap((entry) => {
    const path = join(folder, entry.name);
    const name = relative(root, path);
    if (entry.isDirectory() && !/^(runs|removed|images\/tmp)\//.test(name)) return inWorkDirectory(root, path);
    const isKept = kept.some((each) => each.test(name)) && !temporary.test(name);
    return [{ path, isOurs: isKept || isWatchAlive(name), isImage: /\.(sif|udocker)$/.test(name) }];
  });
}

function entriesOf(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    // It was removed meanwhile.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** `watches/PID.TICKS` of a watch that lives. */
function isWatchAlive(name: string): boolean {
  const [, pid, ticks] = /^watches\/(\d+)\.(\d+)$/.exec(name) ?? [];
  if (pid === undefined || ticks === undefined) return false;
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] === ticks;
  } catch {
    return false;
  }
}

/** JSON web tokens, and the URLs of the object store that carry a right. */
const looksSecret = /eyJ[\w-]{10,}\.eyJ[\w-]{10,}|[?&](X-Amz-Signature|signature)=[0-9a-f]{16}/;

function secretsIn(place: Place, files: string[]): string[] {
  const tells = (bytes: string) => looksSecret.test(bytes) || place.secrets.some((secret) => bytes.includes(secret));
  const told = [...files, ...filesElsewhere(place)].filter((path) => tells(contentOf(path)));
  const processesTelling = processesOf(place).filter(({ pid }) =>
    ['cmdline', 'environ'].some((file) => tells(contentOf(`/proc/${pid}/${file}`))),
  );
  return [
    ...told.map((path) => `secret in ${path}`),
    ...processesTelling.map(({ pid, commandLine }) => `secret in process ${pid}: ${commandLine}`),
  ];
}

function contentOf(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch (error) {
    if (['ENOENT', 'ESRCH', 'EISDIR', 'ENXIO', 'EINVAL'].includes((error as NodeJS.ErrnoException).code ?? ''))
      return '';
    throw error;
  }
}
