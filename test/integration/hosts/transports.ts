/** The two kinds of host, each with a work directory of its own, for suites that hold over both. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { getuid } from 'node:process';
import type { NetworkWish, RuntimePrograms } from '../../../domain/machine.ts';
import { createMachine, type MachineOptions } from '../../../hosts/create-machine.ts';
import type { Host } from '../../../hosts/host.ts';
import { createLocalHost } from '../../../hosts/local.ts';
import type { Machine } from '../../../hosts/machine.ts';
import { createSshHost, type SshHostOptions } from '../../../hosts/ssh.ts';
import { findRclone } from '../../../scripts/components/rclone.ts';
import { thisMachine } from '../../../scripts/machine.ts';
import { dockerGround, endPodman, podmanGround } from '../../ground/engines.ts';
import { bridgeAddress, giveRclone, startNodes, type TestNode } from '../../ground/testbed.ts';
import { startFileServer, type FileServer } from './file-server.ts';

export const apptainerDirectory = '/var/cache/prominence/apptainer/usr/bin';
/** Where setup puts it; a machine may have another. */
export const udockerDirectory = '/var/cache/prominence/udocker/bin';
/** On PATH, or where setup puts it. */
const rcloneDirectory = () => dirname(findRclone(thisMachine())?.path ?? '/usr/bin/rclone');
export const account = 'prominence';

export interface Transport {
  host: Host;
  machine: Machine;
  workDirectory: string;
  /** Reachable from the host. */
  files: FileServer;
  /** Another connection to the same host and work directory, as another of our processes would have. */
  another(changes?: Partial<Pick<MachineOptions, 'imageCacheBytes' | 'imageMostBytes' | 'mostProcesses'>>): Machine;
  /** Run a shell line on the host as the account, in the work directory. */
  shell(line: string): Promise<string>;
  close(): Promise<void>;
}

/** `programs`: more folders that programs are looked for in. */
interface LocalChanges {
  programs?: string[];
  network?: NetworkWish;
}

export async function localTransport(changes: LocalChanges = {}): Promise<Transport> {
  ensureAccount();
  return localTransportAt(newDirectory(), changes);
}

/** Before a runtime opens anything, the shell script `meantime` of the work directory runs, where there is one. */
export async function hinderedTransport(program: 'apptainer' | 'podman' | 'docker'): Promise<Transport> {
  ensureAccount();
  const folder = mkdtempSync('/var/tmp/prominence-meantime-');
  chmodSync(folder, 0o755);
  const stand = (name: string, real: string) =>
    writeFileSync(join(folder, name), `#!/bin/sh\n[ ! -e meantime ] || sh ./meantime\nexec ${real} "$@"\n`, {
      mode: 0o755,
    });
  const opened = await (async () => {
    if (program !== 'apptainer')
      return engineTransport(program, undefined, { folder, standBefore: (real) => stand(program, real) });
    stand('apptainer', join(apptainerDirectory, 'apptainer'));
    writeFileSync(
      join(folder, 'udocker'),
      `#!/usr/bin/python3\nimport os, runpy\nif os.path.exists("meantime"):\n    os.system("sh ./meantime")\nrunpy.run_path("${udockerDirectory}/udocker", run_name="__main__")\n`,
      { mode: 0o755 },
    );
    return localTransportAt(newDirectory(), { programs: [folder] });
  })();
  return {
    ...opened,
    async close() {
      await opened.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Where podman, or docker, runs the containers of both names. */
export async function engineTransport(
  program: 'podman' | 'docker',
  network?: NetworkWish,
  hindered?: { folder: string; standBefore(real: string): void },
): Promise<Transport> {
  ensureAccount();
  const ground = program === 'podman' ? podmanGround(account) : await dockerGround(account);
  const workDirectory = newDirectory();
  hindered?.standBefore(join(ground.binDirectory, program));
  const binDirectories = [...(hindered ? [hindered.folder] : []), ground.binDirectory];
  const host = () => createLocalHost({ account, binDirectories, workDirectory });
  const remove = async () => {
    await ground.close();
    endPodman(workDirectory);
    rmSync(workDirectory, { recursive: true, force: true });
  };
  return transport(host, workDirectory, '127.0.0.1', remove, {
    runtimes: { singularity: program, udocker: program },
    ...(network ? { network } : {}),
  });
}

const newDirectory = () => `/var/tmp/prominence-test-${randomBytes(4).toString('hex')}`;

/** In a folder that is there, or is made. */
export function localTransportAt(
  workDirectory: string,
  { programs = [], network }: LocalChanges = {},
): Promise<Transport> {
  const binDirectories = [...programs, apptainerDirectory, udockerDirectory, rcloneDirectory()];
  const host = () => createLocalHost({ account, binDirectories, workDirectory });
  const remove = () => rmSync(workDirectory, { recursive: true, force: true });
  return transport(host, workDirectory, '127.0.0.1', remove, network ? { network } : {});
}

export async function sshTransport(changes: SshChanges = {}): Promise<Transport> {
  const [node] = await startNodes(1);
  giveRclone(node!);
  const workDirectory = `test-${randomBytes(4).toString('hex')}`;
  const cleaner = sshHost(node!);
  return transport(
    () => sshHost(node!, changes),
    workDirectory,
    bridgeAddress,
    async () => {
      await cleaner.run('cd && chmod -R u+rwX "$1"; rm -rf "$1"', { args: [workDirectory] });
      await cleaner.close();
    },
  );
}

type SshChanges = Partial<Pick<SshHostOptions, 'hostKey' | 'privateKey' | 'keepaliveSeconds'>>;

/** More patient than needed: a busy machine may let nobody answer for a while. */
export function sshHost(node: TestNode, changes: SshChanges = {}): Host {
  const { address, port, user, privateKey, hostKey } = node;
  const patience = { keepaliveSeconds: 10, connectTimeoutSeconds: 60 };
  return createSshHost({ address, port, user, privateKey, hostKey, ...patience, ...changes });
}

async function transport(
  newHost: () => Host,
  workDirectory: string,
  address: string,
  remove: () => void | Promise<void>,
  changes: { runtimes?: RuntimePrograms; network?: NetworkWish } = {},
): Promise<Transport> {
  const files = await startFileServer(address);
  const host = newHost();
  const privateHosts = [new URL(files.url('')).host];
  const options = { workDirectory, privateHosts, ...changes };
  const machine = createMachine({ ...options, host, imageCacheBytes: 1e10 });
  const others: Machine[] = [];
  await machine.probe();
  return {
    host,
    machine,
    workDirectory,
    files,
    another(changes = {}) {
      const other = createMachine({ ...options, host: newHost(), imageCacheBytes: 1e10, ...changes });
      others.push(other);
      return other;
    },
    async shell(line) {
      const script = 'case $1 in /*) ;; *) cd ;; esac; cd "$1" && eval "$2"';
      const { stdout } = await host.run(script, { args: [workDirectory, line] });
      return stdout.toString();
    },
    async close() {
      for (const one of [machine, ...others]) await one.close();
      await files.close();
      await remove();
    },
  };
}

function ensureAccount(): void {
  if (getuid?.() !== 0) return;
  try {
    execFileSync('id', ['-u', account], { stdio: 'ignore' });
  } catch {
    execFileSync('useradd', ['--create-home', '--shell', '/bin/sh', account]);
  }
}
