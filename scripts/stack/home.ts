/**
 * The folder that holds everything an embedded stack remembers. Its secrets are files of mode 0600; parts that another
 * account works in lie elsewhere, behind a link, when that account can't enter the home.
 */
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

export interface Home {
  path: string;
  configFile: string;
  postgresPasswordFile: string;
  /** Held by the process that runs the stack. */
  lockFile: string;
  temporalFile: string;
  /** In which run of the machine's kernel the stack was started last. */
  bootFile: string;
  objects: string;
  /** E-mail that there was no server for. */
  mail: string;
  log(child: string): string;
  pidFile(child: string): string;
  /** Real path of a folder below the home that every account can reach; made if missing. */
  reachableFolder(name: string): string;
}

export interface RememberedPorts {
  api?: number;
  temporal?: number;
  temporalUi?: number;
  temporalHttp?: number;
  temporalMetrics?: number;
  postgres?: number;
}

/** Where folders go that a home no other account can enter (one under /root) can't hold itself. */
const outside = '/var/lib/prominence';

export function openHome(path: string): Home {
  mkdirSync(path, { recursive: true, mode: 0o755 });
  for (const secluded of ['objects', 'mail', 'temporal', 'logs', 'pids']) {
    mkdirSync(join(path, secluded), { recursive: true, mode: 0o700 });
    chmodSync(join(path, secluded), 0o700);
  }
  return {
    path,
    configFile: join(path, 'prominence.yaml'),
    postgresPasswordFile: join(path, 'postgres-password'),
    lockFile: join(path, 'pids', 'stack.json'),
    temporalFile: join(path, 'temporal', 'temporal.db'),
    bootFile: join(path, 'temporal', 'boot-id'),
    objects: join(path, 'objects'),
    mail: join(path, 'mail'),
    log: (child) => join(path, 'logs', `${child}.log`),
    pidFile: (child) => join(path, 'pids', `${child}.json`),
    reachableFolder: (name) => reachableFolder(path, name),
  };
}

export function readPorts(home: Home): RememberedPorts {
  const file = stateFile(home);
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as { ports: RememberedPorts }).ports : {};
}

export function rememberPorts(home: Home, ports: RememberedPorts): void {
  writeWhole(stateFile(home), `${JSON.stringify({ ports }, null, 2)}\n`);
}

/** A crash leaves either the old content or the new. */
export function writeWhole(file: string, content: string): void {
  const temporary = `${file}.new`;
  writeFileSync(temporary, content, { mode: 0o600 });
  chmodSync(temporary, 0o600);
  renameSync(temporary, file);
}

function stateFile(home: Home): string {
  return join(home.path, 'state.json');
}

function reachableFolder(homePath: string, name: string): string {
  const folder = join(homePath, name);
  if (process.getuid?.() === 0) {
    // A temporary folder is closed to others; what is secret below is closed by itself.
    chmodSync(homePath, statSync(homePath).mode | 0o011);
    if (!everyoneCanEnter(homePath)) linkOutside(folder);
  }
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  return realpathSync(folder);
}

function linkOutside(folder: string): void {
  const link = lstatSync(folder, { throwIfNoEntry: false });
  // A link that leads nowhere is left of an outside folder that was cleared away: start afresh.
  if (link?.isSymbolicLink() && !existsSync(folder)) unlinkSync(folder);
  else if (link) return;
  const target = join(outside, randomBytes(6).toString('hex'));
  mkdirSync(target, { recursive: true, mode: 0o755 });
  symlinkSync(target, folder);
}

/** Whether every folder down to this one may be entered by any account. */
function everyoneCanEnter(path: string): boolean {
  for (let folder = realpathSync(path); ; folder = dirname(folder)) {
    if ((statSync(folder).mode & 0o001) === 0) return false;
    if (folder === dirname(folder)) return true;
  }
}
