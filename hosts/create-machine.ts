/** A machine made of a host and the scripts on it. */
import type { Host } from './host.ts';
import { scriptsOn } from './installed-scripts.ts';
import type { ContainerRuntime } from '../domain/description.ts';
import type { NetworkWish, RuntimeProgram, RuntimePrograms } from '../domain/machine.ts';
import { createOutside } from '../outbound/outside.ts';
import { exec, snapshot } from './machine-calls.ts';
import { probe } from './machine-facts.ts';
import { pullImage } from './machine-images.ts';
import { createStarter } from './machine-starter.ts';
import { stageIn, stageOut } from './machine-staging.ts';
import { mount, unmount } from './machine-mounts.ts';
import { killRun, startTask } from './machine-tasks.ts';
import { openWatch } from './machine-watch.ts';
import type { Machine } from './machine.ts';

export interface MachineOptions {
  host: Host;
  /** On the host: absolute, or relative to the user's home directory. Without `:` and `,`. */
  workDirectory: string;
  /** The image cache gives up its least recently used images beyond this. */
  imageCacheBytes: number;
  /** What one image may have unpacked. Default: 50 GB. */
  imageMostBytes?: number;
  /** Servers (`host` or `host:port`) that our process may ask at addresses that are not public. Default: none. */
  privateHosts?: readonly string[];
  /** Default: the program each name is from. */
  runtimes?: RuntimePrograms;
  /** Default: isolated where that can be had, and nothing of the machine to be reached. */
  network?: NetworkWish;
  /** And threads, that a run may have at one time. Default, or 0: by the machine (scripts/probe.sh). */
  mostProcesses?: number;
}

const usualPrograms: RuntimePrograms = { singularity: 'apptainer', udocker: 'udocker' };
const usualProcesses = 0;

/** Owns the host it is given: closing the machine closes it. */
export function createMachine({
  host,
  workDirectory,
  imageCacheBytes,
  imageMostBytes = 5e10,
  privateHosts = [],
  runtimes = usualPrograms,
  network = { mode: 'auto', reachable: [] },
  mostProcesses = usualProcesses,
}: MachineOptions): Machine {
  const scripts = scriptsOn(host, workDirectory);
  const outside = createOutside(privateHosts);
  const limits = { cacheBytes: imageCacheBytes, mostBytes: imageMostBytes, privateHosts };
  const starter = createStarter(scripts, host.label);
  return {
    label: host.label,
    probe: () => probe(scripts, host.label, runtimes, network),
    stageIn: (run, prepare, artifacts, signal) => stageIn(scripts, outside, run, prepare, artifacts, signal),
    mount: (run, request, signal) => mount(scripts, run, request, signal),
    unmount: (run, patienceSeconds, signal) => unmount(scripts, run, patienceSeconds, signal),
    pullImage: (image, signal) => pullImage(scripts, limits, image, programFor(runtimes, image), signal),
    startTask: (run, launch) => startTask(scripts, starter, run, launch, programFor(runtimes, launch), mostProcesses),
    killRun: (run, graceSeconds, mount) => killRun(scripts, run, graceSeconds, mount),
    stageOut: (run, outputs, options) => stageOut(scripts, run, outputs, options),
    exec: (run, request, signal) =>
      exec(scripts, run, request, (launch) => programFor(runtimes, launch), mostProcesses, signal),
    snapshot: (run, request, signal) => snapshot(scripts, run, request, signal),
    watch: (deployment) => openWatch(scripts, deployment, host.label),
    close: () => host.close(),
  };
}

/** @throws Error for the runtime that runs nothing, and for one that the site does not take: no job of it is placed here */
function programFor(programs: RuntimePrograms, { runtime }: { runtime: ContainerRuntime }): RuntimeProgram {
  if (runtime === 'benchmark') throw new Error('the runtime benchmark is no program of a machine');
  const program = programs[runtime];
  if (program === 'none') throw new Error(`this site does not take jobs of the runtime ${runtime}`);
  return program;
}
