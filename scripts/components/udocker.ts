/** udocker: the other runtime that jobs may ask for. From the Python index, with the engine it downloads or Debian's. */
import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { findOnPath, isExecutableFile, run, runOrThrow } from '../command.ts';
import type { Machine } from '../machine.ts';
import { findApptainer } from './apptainer.ts';
import { aptObstacle, isDebian } from './apt.ts';
import type { Component, Found, Way } from './component.ts';

const version = '1.3.17';
const engine =
  'https://raw.githubusercontent.com/jorge-lip/udocker-builds/master/tarballs/udocker-englib-1.2.11.tar.gz';
const answerWithinMs = 4000;

/** Only where it lies; whether it works is asked by set-up. */
export function findUdocker(machine: Machine): Found | undefined {
  const onPath = findOnPath('udocker', machine.env);
  if (onPath) return { path: onPath, from: 'PATH' };
  const cached = machine.caches
    .flatMap((cache) => [join(cache, 'udocker/bin/udocker'), join(cache, 'udocker-pip/bin/udocker')])
    .find(isExecutableFile);
  return cached ? { path: cached, from: 'cache' } : undefined;
}

export function udocker(machine: Machine): Component {
  return {
    name: 'udocker',
    purpose: 'run jobs that ask for it on this machine',
    advice: 'install it as https://indigo-dc.github.io/udocker/installation_manual.html says',
    async find() {
      const found = findUdocker(machine);
      if (!found) return undefined;
      // It makes a folder wherever it is told to live, also for this.
      const folder = join(machine.cache, 'udocker-probe');
      const { code } = await run(found.path, [...(machine.isRoot ? ['--allow-root'] : []), '--version'], {
        env: { ...machine.env, UDOCKER_DIR: folder },
      });
      rmSync(folder, { recursive: true, force: true });
      return code === 0 ? found : undefined;
    },
    ways: [fromPythonIndex(machine), withDebianEngine(machine)],
  };
}

/** Its engine is downloaded again by each machine at first use, so it is of no use where that can't be reached. */
function fromPythonIndex(machine: Machine): Way {
  const folder = join(machine.cache, 'udocker-pip');
  return {
    name: `pip install udocker==${version} in a virtual environment`,
    takes: 'about 20 s',
    async obstacle() {
      if (!findOnPath('python3', machine.env)) return 'python3 is not on PATH';
      const signal = AbortSignal.timeout(answerWithinMs);
      const answer = await fetch(engine, { method: 'HEAD', signal }).catch(() => undefined);
      return answer?.ok ? undefined : 'its engine can not be downloaded here';
    },
    async obtain() {
      rmSync(folder, { recursive: true, force: true });
      await runOrThrow('python3', ['-m', 'venv', folder], { env: machine.env });
      await runOrThrow(join(folder, 'bin', 'pip'), ['install', '-q', `udocker==${version}`], { env: machine.env });
      chmodSync(folder, 0o755);
    },
  };
}

function withDebianEngine(machine: Machine): Way {
  const script = join(machine.repository, 'scripts/ground/get-udocker.sh');
  const target = join(machine.cache, 'udocker');
  return {
    name: "the Python index and Debian's packages",
    takes: 'about 15 s',
    rootCommand: 'npm run setup',
    obstacle() {
      const notHere = process.arch === 'x64' ? undefined : 'it is made for x86-64';
      const libraries = findApptainer(machine)?.path.startsWith(join(machine.cache, 'apptainer/')) ?? false;
      return Promise.resolve(
        notHere ??
          aptObstacle(machine) ??
          (isDebian() ? undefined : 'this is not Debian') ??
          (libraries ? undefined : 'it shares libraries with an apptainer that set-up unpacked, and there is none'),
      );
    },
    async obtain() {
      mkdirSync(machine.cache, { recursive: true });
      await runOrThrow('bash', [script, target, join(machine.cache, 'apptainer')], { env: machine.env });
    },
  };
}
