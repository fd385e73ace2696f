/**
 * The floor under every job: its container's command, started with the very words a supervisor uses and as the same
 * account, without anything of ours around it.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Host } from '../../hosts/host.ts';
import { launchText } from '../../hosts/launch-text.ts';
import { createLocalHost } from '../../hosts/local.ts';
import { findApptainer } from '../../scripts/components/apptainer.ts';
import { thisMachine } from '../../scripts/machine.ts';
import { jobAccount } from '../../scripts/stack/account.ts';
import { readTimes } from './cpu.ts';
import type { Reaper } from './reaper.ts';

export interface ContainerFloor {
  /** Shells that each start one container after the other. */
  loops: number;
  containers: number;
  perSecond: number;
  /** CPU per container. */
  cpuMs: number;
}

/** @param workDirectory of a site that has exactly one image in its cache */
export async function measureContainerFloor(
  workDirectory: string,
  reaper: Reaper,
  loops: number,
  containers: number,
): Promise<ContainerFloor> {
  const host = thisHost();
  const each = Math.ceil(containers / loops);
  const before = waitedFor(reaper);
  const began = performance.now();
  await Promise.all(Array.from({ length: loops }, (_, loop) => plainLoop(host, workDirectory, loop, each, ['true'])));
  const seconds = (performance.now() - began) / 1000;
  await reaper.isEmpty(60);
  const done = each * loops;
  return { loops, containers: done, perSecond: done / seconds, cpuMs: (waitedFor(reaper) - before) / done };
}

/** What one container says. */
export function plainContainer(workDirectory: string, argv: string[]): Promise<string> {
  return plainLoop(thisHost(), workDirectory, 0, 1, argv);
}

async function plainLoop(
  host: Host,
  workDirectory: string,
  loop: number,
  turns: number,
  argv: string[],
): Promise<string> {
  const script = `
    cd -P -- "$1" || exit
    run=floor/$2 image=image.sif turn=0 turns=$3
    mkdir -p "$run/home" "$run/tmp" "$run/var-tmp"
    ln -f images/*.sif "$run/$image" || exit
    newline='
'
    ${containerFunctions()}
    while [ $((turn += 1)) -le "$turns" ]; do (
      ${launchText({ ...plainLaunch, argv }, 'apptainer')}
    ) </dev/null || exit; done`;
  const { exitCode, stdout, stderr } = await host.run(script, { args: [workDirectory, String(loop), String(turns)] });
  if (exitCode !== 0) throw new Error(`a plain container ended with ${exitCode}: ${stderr.toString()}`);
  return stdout.toString();
}

function thisHost(): Host {
  const found = findApptainer(thisMachine());
  return createLocalHost({ account: jobAccount, binDirectories: found ? [join(found.path, '..')] : [] });
}

/** The scripts' own text, so that the floor has the jobs' options, but for what keeps the jobs apart. */
function containerFunctions(): string {
  const text = readFileSync(new URL('../../hosts/scripts/container.sh', import.meta.url), 'utf8');
  // Of a plain busybox nothing is to be put right, and beside it nobody is to be kept out.
  return `${text}\nimage_environment() { options=; }\nhas_own_mounts() { false; }\nwithin= name_servers= niceness=0`;
}

const plainLaunch = {
  launchNumber: 0,
  prepare: { inputs: [] },
  imageKey: '',
  fileSha256: '',
  runtime: 'singularity' as const,
  env: { USER: 'user', TMP: '/tmp', TEMP: '/tmp', TMPDIR: '/tmp' },
  binds: [],
  walltimeSeconds: 60,
  memoryBytes: 1e9,
  killGraceSeconds: 1,
  outputBytes: 1e6,
};

/** Children of this process are waited for by itself, their orphans by the reaper. */
function waitedFor(reaper: Reaper): number {
  return (readTimes(process.pid)?.waitedFor ?? 0) + reaper.waitedFor();
}
