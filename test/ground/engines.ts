/**
 * podman as a user without root has it, and docker's own client. Settings that only a test machine needs are in files of
 * their own, told by programs that stand before the real ones. No daemon of docker can run there: podman answers the
 * client in its place, by docker's own protocol.
 */
import { createHash } from 'node:crypto';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { getuid } from 'node:process';
import { findDockerClient } from '../../scripts/components/engines.ts';
import { findOnPath } from '../../scripts/command.ts';
import { thisMachine } from '../../scripts/machine.ts';

export interface EngineGround {
  /** Holds the program; to be searched before all others. */
  binDirectory: string;
  close(): Promise<void>;
}

/** @param account whose podman it is, where this process is root. @throws Error that says what to install */
export function podmanGround(account: string): EngineGround {
  const { folder, binDirectory } = makeFolder(account);
  return {
    binDirectory,
    close: () => {
      rmSync(folder, { recursive: true, force: true });
      return Promise.resolve();
    },
  };
}

/** What podman leaves outside of a work directory for as long as the machine runs: its pause process and a folder. */
export function endPodman(workDirectory: string): void {
  const mark = createHash('sha256').update(realpathSync(workDirectory)).digest('hex').slice(0, 12);
  for (const name of readdirSync('/tmp').filter((each) => each.startsWith('podman-run-') && each.endsWith(mark))) {
    endPause(join('/tmp', name));
    rmSync(join('/tmp', name), { recursive: true, force: true });
  }
}

function endPause(runtimeFolder: string): void {
  const file = join(runtimeFolder, 'libpod/tmp/pause.pid');
  if (!existsSync(file)) return;
  try {
    process.kill(Number(readFileSync(file, 'utf8')), 'SIGKILL');
  } catch (error) {
    // It went by itself.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** The same for docker's client. */
export async function dockerGround(account: string): Promise<EngineGround> {
  const client = findDockerClient(thisMachine());
  if (!client) throw new Error(missing('the docker client'));
  const { folder, binDirectory } = makeFolder(account);
  const socket = join(folder, 'docker.sock');
  const service = spawn(
    ...asAccount(account, [
      join(binDirectory, 'podman'),
      `--root=${join(folder, 'storage')}`,
      '--cgroup-manager=cgroupfs',
      '--events-backend=file',
      'system',
      'service',
      '--time=0',
      `unix://${socket}`,
    ]),
    {
      cwd: folder,
      env: {
        PATH: process.env['PATH'],
        HOME: folder,
        XDG_RUNTIME_DIR: join(folder, 'run'),
        TMPDIR: join(folder, 'run'),
      },
      // It is two processes: the one in the name space of its users does not end with the other.
      detached: true,
    },
  );
  const stop = async () => {
    const ended = service.exitCode === null && service.signalCode === null ? once(service, 'exit') : undefined;
    process.kill(-service.pid!, 'SIGKILL');
    await ended;
  };
  const said = wordsOf(service);
  await untilThere(socket, service, said);
  program(join(binDirectory, 'docker'), `export DOCKER_HOST=unix://${socket}\nexec ${client.path} "$@"`);
  rmSync(join(binDirectory, 'podman'));
  return {
    binDirectory,
    async close() {
      await stop();
      endPause(join(folder, 'run'));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function makeFolder(account: string): { folder: string; binDirectory: string } {
  const needed = { podman: 'podman', runc: 'runc', newuidmap: 'uidmap', catatonit: 'catatonit' };
  const absent = Object.entries(needed).filter(([name]) => !findOnPath(name, process.env));
  if (absent.length > 0) throw new Error(missing(absent.map(([name]) => name).join(', ')));
  allowSubordinates(account);
  const folder = mkdtempSync('/var/tmp/prominence-engine-');
  const binDirectory = join(folder, 'bin');
  mkdirSync(binDirectory);
  // Neither asks for anything of the file system or of cgroups that a test machine may not have.
  writeFileSync(join(folder, 'containers.conf'), '[engine]\nruntime = "runc"\n');
  writeFileSync(join(folder, 'storage.conf'), '[storage]\ndriver = "vfs"\n');
  const settings = `CONTAINERS_CONF=${folder}/containers.conf CONTAINERS_STORAGE_CONF=${folder}/storage.conf`;
  program(join(binDirectory, 'podman'), `export ${settings}\nexec ${findOnPath('podman', process.env)} "$@"`);
  chmodSync(folder, 0o755);
  mkdirSync(join(folder, 'run'), { mode: 0o700 });
  if (getuid?.() === 0) execFileSync('chown', [account, folder, join(folder, 'run')]);
  return { folder, binDirectory };
}

/** Accounts that are made for tests may have been given no subordinate ids. Not to be called twice at a time. */
export function allowSubordinates(account: string): void {
  if (getuid?.() !== 0) return;
  for (const kind of ['uid', 'gid']) {
    const file = `/etc/sub${kind}`;
    if (existsSync(file) && readFileSync(file, 'utf8').includes(`${account}:`)) continue;
    execFileSync('usermod', [`--add-sub${kind}s`, '200000-265535', account]);
  }
}

function program(path: string, text: string): void {
  writeFileSync(path, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  chmodSync(path, 0o755);
}

function asAccount(account: string, words: string[]): [string, string[]] {
  const become = getuid?.() === 0 ? ['setpriv', `--reuid=${account}`, `--regid=${account}`, '--init-groups', '--'] : [];
  const [first, ...rest] = [...become, ...words] as [string, ...string[]];
  return [first, rest];
}

function wordsOf(child: ChildProcess): () => string {
  let words = '';
  child.stderr?.on('data', (chunk: Buffer) => (words = (words + chunk.toString()).slice(-1000)));
  child.stdout?.resume();
  return () => words;
}

async function untilThere(socket: string, service: ChildProcess, said: () => string): Promise<void> {
  while (!existsSync(socket)) {
    if (service.exitCode !== null) throw new Error(`podman's service ended: ${said()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const missing = (what: string): string =>
  `${what}: not on this machine; run npm run setup -- --tests as root, or apt-get install podman runc uidmap catatonit docker.io`;
