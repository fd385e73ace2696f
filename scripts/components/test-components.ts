/** What only the tests need: a registry, more container engines, an S3 server, ssh hosts, images of MPI, the production Temporal server, the clients users have, a fuzzer. */
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { findOnPath, run, runOrThrow } from '../command.ts';
import type { Machine } from '../machine.ts';
import { debianProgram } from './apt.ts';
import type { Component } from './component.ts';
import { containerEngines } from './engines.ts';
import { findInCache, goInstall } from './go-install.ts';
import { rclone } from './rclone.ts';

const temporalServerVersion = 'v1.31.2';

export function testComponents(machine: Machine): Component[] {
  const images = 'make and serve test images';
  const hosts = 'make test hosts';
  const archives = 'make and unpack archives of every kind';
  return [
    debianProgram(machine, 'docker-registry', 'docker-registry', images),
    debianProgram(machine, 'htpasswd', 'apache2-utils', images),
    debianProgram(machine, 'skopeo', 'skopeo', images),
    debianProgram(machine, 'umoci', 'umoci', images),
    debianProgram(machine, 'busybox', 'busybox-static', images),
    ...containerEngines(machine),
    debianProgram(machine, 'bzip2', 'bzip2', archives),
    debianProgram(machine, 'zip', 'zip', archives),
    debianProgram(machine, 'unzip', 'unzip', archives),
    debianProgram(machine, 'openssl', 'openssl', 'make test certificates'),
    debianProgram(machine, 'psql', 'postgresql-client', 'bring up the production topology'),
    debianProgram(machine, 'mmdebstrap', 'mmdebstrap', hosts),
    debianProgram(machine, 'ip', 'iproute2', hosts),
    debianProgram(machine, 'ethtool', 'ethtool', hosts),
    debianProgram(machine, 'ssh', 'openssh-client', hosts),
    rclone(machine),
    versitygw(machine),
    temporalServer(machine),
    temporalSqlTool(machine),
    ...pythonPrograms.map((each) => pythonProgram(machine, each)),
    testHosts(machine),
    mpiImages(machine),
  ];
}

function versitygw(machine: Machine): Component {
  return {
    name: 'versitygw',
    purpose: 'test against a real S3 API',
    advice: 'install Go (https://go.dev/dl) and run npm run setup -- --tests again',
    find: () => foundProgram(machine, 'versitygw', ['--version']),
    ways: [
      goInstall(machine, {
        module: 'github.com/versity/versitygw/cmd/versitygw@v1.8.0',
        as: 'versitygw',
        takes: 'about a minute',
      }),
    ],
  };
}

function temporalServer(machine: Machine): Component {
  return {
    name: 'temporal-server',
    purpose: 'test the production topology',
    advice: 'install Go (https://go.dev/dl) and run npm run setup -- --tests again',
    find: () => foundProgram(machine, 'temporal-server', ['--version']),
    ways: [
      goInstall(machine, {
        module: `go.temporal.io/server/cmd/server@${temporalServerVersion}`,
        as: 'temporal-server',
        takes: 'about 4 minutes',
      }),
    ],
  };
}

function temporalSqlTool(machine: Machine): Component {
  return {
    name: 'temporal-sql-tool',
    purpose: 'make the tables of the production Temporal server',
    advice: 'install Go (https://go.dev/dl) and run npm run setup -- --tests again',
    find: () => foundProgram(machine, 'temporal-sql-tool', ['--version']),
    ways: [
      goInstall(machine, {
        module: `go.temporal.io/server/cmd/tools/sql@${temporalServerVersion}`,
        as: 'temporal-sql-tool',
        takes: 'about a minute after the server',
      }),
    ],
  };
}

interface PythonProgram {
  name: string;
  purpose: string;
  /** As pip takes it. */
  release: string;
  /** Of its virtual environment, in the cache. */
  folder: string;
  program: string;
}

/** Each in a virtual environment of its own: two of them are called prominence. */
const pythonPrograms: PythonProgram[] = [
  {
    name: 'upstream client',
    purpose: 'test with the client users have',
    release: 'prominence==0.21.0',
    folder: 'client-0.21.0',
    program: 'prominence',
  },
  {
    name: 'EOSC client',
    purpose: 'test with the client that users of EOSC have',
    release: 'prominence-cli==1.5.1',
    folder: 'eosc-client-1.5.1',
    program: 'prominence',
  },
  {
    name: 'schemathesis',
    purpose: 'test answers against the OpenAPI document',
    release: 'schemathesis==4.32.5',
    folder: 'schemathesis-4.32.5',
    program: 'schemathesis',
  },
];

function pythonProgram(machine: Machine, { name, purpose, release, folder, program }: PythonProgram): Component {
  const path = (cache: string): string => join(cache, folder, 'bin', program);
  const environment = join(machine.cache, folder);
  return {
    name,
    purpose,
    advice: `install Python 3 with venv and pip, and run npm run setup -- --tests again`,
    find() {
      const found = machine.caches.map(path).find((each) => existsSync(each));
      return Promise.resolve(found ? { path: found, from: 'cache' } : undefined);
    },
    ways: [
      {
        name: `pip install ${release} in a virtual environment`,
        takes: 'about 20 s',
        obstacle: () => Promise.resolve(findOnPath('python3', machine.env) ? undefined : 'python3 is not on PATH'),
        async obtain() {
          try {
            // Its programs name their interpreter by path, so it is made where it stays.
            await runOrThrow('python3', ['-m', 'venv', '--clear', environment], { env: machine.env });
            await runOrThrow(join(environment, 'bin', 'pip'), ['install', '-q', release], { env: machine.env });
          } catch (error) {
            rmSync(environment, { recursive: true, force: true });
            throw error;
          }
        },
      },
    ],
  };
}

/** Network namespaces with an own root folder and sshd each; see test/ground/testbed.sh. */
function testHosts(machine: Machine): Component {
  const script = join(machine.repository, 'test/ground/testbed.sh');
  const base = join(machine.env['TB'] ?? '/var/cache/prominence/testbed', 'base');
  return {
    name: 'base of the test hosts',
    purpose: 'test with several hosts',
    advice: 'run npm run setup -- --tests as root on Debian',
    find: () => Promise.resolve(existsSync(join(base, '.ready')) ? { path: base, from: 'cache' } : undefined),
    ways: [
      {
        name: 'test/ground/testbed.sh base',
        takes: '1 to 3 minutes',
        rootCommand: 'npm run setup -- --tests',
        obstacle: () => Promise.resolve(existsSync(script) ? undefined : `${script} is missing`),
        async obtain() {
          await runOrThrow('bash', [script, 'base'], { env: machine.env });
        },
      },
    ],
  };
}

/** Of Open MPI and MPICH, with a test program each; see test/ground/mpi-images.sh. */
function mpiImages(machine: Machine): Component {
  const script = join(machine.repository, 'test/ground/mpi-images.sh');
  const folder = '/var/cache/prominence/images';
  const flavours = ['openmpi', 'mpich'];
  const areThere = () => flavours.every((flavour) => existsSync(join(folder, `${flavour}.tar`)));
  return {
    name: 'MPI images',
    purpose: 'test MPI jobs',
    advice: 'run npm run setup -- --tests as root on Debian',
    find: () => Promise.resolve(areThere() ? { path: folder, from: 'cache' } : undefined),
    ways: [
      {
        name: 'test/ground/mpi-images.sh',
        takes: '2 to 6 minutes',
        rootCommand: 'npm run setup -- --tests',
        obstacle: () => Promise.resolve(existsSync(script) ? undefined : `${script} is missing`),
        async obtain() {
          await runOrThrow('bash', [script, folder, ...flavours], { env: machine.env });
        },
      },
    ],
  };
}

async function foundProgram(
  machine: Machine,
  name: string,
  probe: readonly string[],
): Promise<{ path: string; from: string } | undefined> {
  const onPath = findOnPath(name, machine.env);
  const path = onPath ?? findInCache(machine, name);
  if (!path || (await run(path, probe)).code !== 0) return undefined;
  return { path, from: onPath ? 'PATH' : 'cache' };
}
