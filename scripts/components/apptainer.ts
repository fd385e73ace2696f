/** Apptainer (or its elder, singularity): the runtime that jobs' containers run in. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findOnPath, isExecutableFile, run, runOrThrow } from '../command.ts';
import type { Machine } from '../machine.ts';
import { aptInstall, aptObstacle, aptPackageOffered, isDebian } from './apt.ts';
import type { Component, Found, Way } from './component.ts';
import { verified } from './checksum.ts';

/** Of a release, and the very text that was looked at: set-up may be root. */
const vendorScript = {
  url: 'https://raw.githubusercontent.com/apptainer/apptainer/v1.5.3/tools/install-unprivileged.sh',
  sha256: 'a097956eafa6ab3dd843ee429d0b774ed029753bfadf013b8046556228fac6f2',
};
const answerWithinMs = 4000;

/** Only where it lies; whether it works is asked by set-up. */
export function findApptainer(machine: Machine): Found | undefined {
  const given = machine.env['APPTAINER'];
  if (given && isExecutableFile(given)) return { path: given, from: 'APPTAINER' };
  const onPath = findOnPath('apptainer', machine.env) ?? findOnPath('singularity', machine.env);
  if (onPath) return { path: onPath, from: 'PATH' };
  const cached = machine.caches
    .flatMap((cache) => [join(cache, 'apptainer/usr/bin/apptainer'), join(cache, 'apptainer-vendor/bin/apptainer')])
    .find(isExecutableFile);
  return cached ? { path: cached, from: 'cache' } : undefined;
}

export function apptainer(machine: Machine): Component {
  return {
    name: 'Apptainer',
    purpose: 'run containers on this machine',
    advice: 'install apptainer or singularity as https://apptainer.org/docs/admin/main/installation.html says',
    async find() {
      const found = findApptainer(machine);
      return found && (await run(found.path, ['--version'])).code === 0 ? found : undefined;
    },
    ways: [vendorInstall(machine), aptWhereOffered(machine), dnfInstall(machine), newerDebian(machine)],
  };
}

/** The project's own script for an install without root; it takes packages apart with rpm2cpio. */
function vendorInstall(machine: Machine): Way {
  return {
    name: "the vendor's install-unprivileged.sh",
    takes: 'about 30 s',
    obstacle: () => {
      const missing = ['bash', 'curl', 'rpm2cpio', 'cpio'].filter((name) => !findOnPath(name, machine.env));
      return Promise.resolve(missing.length > 0 ? `it needs ${missing.join(', ')}` : undefined);
    },
    async obtain() {
      const answer = await fetch(vendorScript.url, { signal: AbortSignal.timeout(answerWithinMs) });
      if (!answer.ok) throw new Error(`${vendorScript.url} answered ${answer.status}`);
      const script = verified(vendorScript.url, Buffer.from(await answer.arrayBuffer()), vendorScript.sha256);
      const work = mkdtempSync(join(tmpdir(), 'prominence-apptainer-'));
      const target = join(machine.cache, 'apptainer-vendor');
      try {
        writeFileSync(join(work, 'install.sh'), script);
        rmSync(target, { recursive: true, force: true });
        mkdirSync(target, { recursive: true, mode: 0o755 });
        await runOrThrow('bash', [join(work, 'install.sh'), target], { cwd: work, env: machine.env });
      } finally {
        rmSync(work, { recursive: true, force: true });
      }
    },
  };
}

function aptWhereOffered(machine: Machine): Way {
  return {
    ...aptInstall(machine, ['apptainer']),
    async obstacle() {
      return aptObstacle(machine) ?? ((await aptPackageOffered('apptainer')) ? undefined : 'apt does not offer it');
    },
  };
}

function dnfInstall(machine: Machine): Way {
  return {
    name: 'dnf install apptainer',
    takes: 'about a minute',
    rootCommand: 'dnf install -y epel-release && dnf install -y apptainer',
    obstacle: () => Promise.resolve(findOnPath('dnf', machine.env) ? undefined : 'there is no dnf'),
    async obtain() {
      await runOrThrow('sh', ['-c', 'dnf install -y epel-release; dnf install -y apptainer'], { env: machine.env });
    },
  };
}

/** Debian 12 carries none: the packages of a newer suite, unpacked beside the system. */
function newerDebian(machine: Machine): Way {
  const script = join(machine.repository, 'scripts/ground/get-apptainer.sh');
  const target = join(machine.cache, 'apptainer');
  return {
    name: 'unpacking the packages of a newer Debian',
    takes: '10 to 30 s',
    rootCommand: 'npm run setup',
    obstacle() {
      const notHere = process.arch === 'x64' ? undefined : 'it is made for x86-64';
      return Promise.resolve(notHere ?? aptObstacle(machine) ?? (isDebian() ? undefined : 'this is not Debian'));
    },
    async obtain() {
      await runOrThrow('bash', [script, target], { env: machine.env });
    },
  };
}
