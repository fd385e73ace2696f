/**
 * The services of `docker-compose.yml` as plain processes of this machine: with the file's own commands and environments,
 * in the order its dependencies give. Only what containers have for themselves is changed: addresses, ports and paths.
 */
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { stringify } from 'yaml';
import { findApptainer } from '../../../scripts/components/apptainer.ts';
import { findInCache } from '../../../scripts/components/go-install.ts';
import { findPostgres } from '../../../scripts/components/postgres-binaries.ts';
import { thisMachine } from '../../../scripts/machine.ts';
import { openHome } from '../../../scripts/stack/home.ts';
import { listeningPorts } from '../../../scripts/stack/listening-ports.ts';
import { pickPort } from '../../../scripts/stack/ports.ts';
import { postgresServer } from '../../../scripts/stack/postgres.ts';
import { SupervisedProcess } from '../../../scripts/stack/supervised-process.ts';
import { eventually } from '../../ground/rest.ts';
import { runToEnd, startChild, type RunningChild } from './child.ts';
import { readCompose, repository, type Compose } from './compose-file.ts';
import { layOutImage } from './image-content.ts';

export interface Topology {
  apiUrl: string;
  temporalAddress: string;
  /** The administrator's, of our database. */
  databaseUrl: string;
  /** The folder with ca/, server/ and client/, once temporal-certificates ran. */
  tls: string;
  /** What the process of a service listens on. */
  ports(service: string): number[];
  /** Runs a one-shot service again. @returns what it said */
  runOneShot(service: string): Promise<string>;
  start(service: string): Promise<void>;
  stop(service: string): Promise<void>;
  /** Runs another command in a service's container. @returns what it said */
  exec(service: string, command: string[]): Promise<string>;
  /** Runs the service's own health check. */
  isHealthy(service: string): Promise<boolean>;
  /** What all of them said, for a failed test. */
  output(): string;
  destroy(): Promise<void>;
}

export async function createTopology(): Promise<Topology> {
  const machine = thisMachine();
  const programs = ['temporal-server', 'temporal-sql-tool', 'temporal'].map((name) => {
    const path = findInCache(machine, name);
    if (path === undefined)
      throw new Error(`${name} is not in ${machine.cache}/bin: get it with npm run setup -- --tests`);
    return dirname(path);
  });
  const binaries = findPostgres(machine);
  const apptainer = findApptainer(machine);
  if (binaries === undefined || apptainer === undefined) {
    throw new Error('PostgreSQL or apptainer is missing: get them with npm run setup -- --tests');
  }

  const folder = await mkdtemp(join(tmpdir(), 'prominence-production-'));
  await chmod(folder, 0o755);
  const [image, etc, tls] = [join(folder, 'app'), join(folder, 'etc'), join(folder, 'tls')];
  for (const each of ['ca', 'server', 'client']) await mkdir(join(tls, each), { recursive: true });
  await mkdir(image);
  await mkdir(etc);
  layOutImage(image);
  await writeFile(
    join(etc, 'prominence.yaml'),
    stringify({
      deployment: 'production',
      storage: { kind: 'local', directory: join(folder, 'objects') },
      sites: [{ type: 'local', name: 'here', workDirectory: join(folder, 'work') }],
    }),
  );

  const held = {
    postgres: await holdPorts(1),
    temporal: await holdPorts(9),
    api: await holdPorts(1),
  };
  const home = openHome(join(folder, 'postgres'));
  const database = await postgresServer({ home, binaries, port: held.postgres.ports[0]! });
  const postgres = new SupervisedProcess(database.child, () => undefined);
  await held.postgres.release();
  await postgres.start();
  await database.ensureDatabase();

  const place: Place = {
    postgresPort: String(held.postgres.ports[0]),
    temporalAddress: `127.0.0.1:${held.temporal.ports[0]}`,
    temporalPorts: temporalPorts(held.temporal.ports),
    apiPort: String(held.api.ports[0]),
    etc,
    tls,
    path: [...programs, dirname(apptainer.path), machine.env['PATH']].join(':'),
    home: folder,
  };
  const compose = readCompose({
    POSTGRES_PASSWORD: decodeURIComponent(new URL(database.url).password),
    PROMINENCE_DATABASE_PASSWORD: 'production-test-our-password',
    TEMPORAL_DATABASE_PASSWORD: 'production-test-password-of-temporal',
    PROMINENCE_HOST_KEYS: etc,
    PROMINENCE_SIGNING_KEY: 'production-test-signing-key-0123456789',
    PROMINENCE_SECRETS_KEY: 'production-test-secrets-key-0123456789',
    PROMINENCE_PUBLIC_URL: `http://127.0.0.1:${place.apiPort}`,
    PROMINENCE_ETC: etc,
  });
  const running = new Map<string, RunningChild>();
  const of = (service: string) => ({ cwd: image, env: environmentOf(compose, service, place) });

  return {
    apiUrl: `http://127.0.0.1:${place.apiPort}`,
    temporalAddress: place.temporalAddress,
    databaseUrl: database.url,
    tls,
    ports: (service) => listeningPorts(running.get(service)?.pid ?? 0),
    runOneShot: (service) => runToEnd(service, commandOf(compose, service), of(service)),
    async start(service) {
      if (service === 'temporal' || service === 'api') await held[service].release();
      running.set(service, startChild(service, commandOf(compose, service), of(service)));
    },
    async stop(service) {
      await running.get(service)?.stop();
    },
    exec: (service, command) => runToEnd(command.join(' '), command, of(service)),
    async isHealthy(service) {
      const ended = running.get(service)?.exitCode();
      if (ended !== undefined) throw new Error(`${service} ended with ${ended}\n${running.get(service)!.output()}`);
      const [, ...check] = compose.services[service]!.healthcheck!.test;
      return runToEnd(
        `${service}'s health check`,
        check.map((word) => onThisMachine(word, place)),
        of(service),
      ).then(
        () => true,
        () => false,
      );
    },
    output: () => [...running.values()].map((child) => child.output()).join('\n'),
    async destroy() {
      for (const child of [...running.values()].reverse()) await child.stop();
      await postgres.stop();
      for (const ports of Object.values(held)) await ports.release();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Waits as Compose does for `service_healthy`. */
export async function untilHealthy(topology: Topology, service: string, seconds = 90): Promise<void> {
  await eventually(
    async () => ((await topology.isHealthy(service)) ? true : undefined),
    () => `${service} did not become healthy in ${seconds} s\n${topology.output()}`,
    seconds,
  );
}

/** What a container would have for itself. */
interface Place {
  postgresPort: string;
  temporalAddress: string;
  temporalPorts: Record<string, string>;
  apiPort: string;
  etc: string;
  tls: string;
  path: string;
  home: string;
}

/** The images of Temporal have commands of their own, where the file gives none. */
function commandOf(compose: Compose, service: string): string[] {
  return service === 'temporal'
    ? ['temporal-server', 'start']
    : (compose.services[service]!.entrypoint ?? compose.services[service]!.command!).map((word) =>
        word.replace(/^\/deploy\//, `${repository}/deploy/`),
      );
}

function environmentOf(compose: Compose, service: string, place: Place): Record<string, string> {
  const environment: Record<string, string> = { PATH: place.path, HOME: place.home, LANG: 'C.UTF-8' };
  for (const [name, value] of Object.entries(compose.services[service]!.environment ?? {})) {
    environment[name] = name === 'PROMINENCE_PORT' ? place.apiPort : onThisMachine(value, place);
  }
  return service === 'temporal' ? { ...environment, ...place.temporalPorts } : environment;
}

function onThisMachine(value: string, place: Place): string {
  return value
    .replace('@postgres:5432/', `@127.0.0.1:${place.postgresPort}/`)
    .replace(/^postgres$/, '127.0.0.1')
    .replace(/^5432$/, place.postgresPort)
    .replace(/^temporal:7233$/, place.temporalAddress)
    .replace(/^7233$/, place.temporalPorts['FRONTEND_GRPC_PORT']!)
    .replace(/^0\.0\.0\.0$/, '127.0.0.1')
    .replace(/^\/etc\/prominence/, place.etc)
    .replace(/^\/tls\//, `${place.tls}/`)
    .replace(/^\/deploy\//, `${repository}/deploy/`);
}

/** The server's four services listen beside each other; containers leave them at their defaults. */
function temporalPorts(ports: number[]): Record<string, string> {
  const names = ['FRONTEND_GRPC', 'FRONTEND_HTTP', 'FRONTEND_MEMBERSHIP', 'MATCHING_GRPC', 'MATCHING_MEMBERSHIP'];
  names.push('HISTORY_GRPC', 'HISTORY_MEMBERSHIP', 'WORKER_GRPC', 'WORKER_MEMBERSHIP');
  return Object.fromEntries(names.map((name, i) => [`${name}_PORT`, String(ports[i])]));
}

interface HeldPorts {
  ports: number[];
  /** To be called just before somebody listens on them. */
  release(): Promise<void>;
}

/** Free ports that nobody else takes meanwhile. Whoever connects is sent away at once. */
async function holdPorts(count: number): Promise<HeldPorts> {
  const servers = new Map<number, Server>();
  while (servers.size < count) {
    const port = await pickPort(undefined, new Set(servers.keys()));
    const server = createServer((socket) => socket.destroy()).listen(port, '127.0.0.1');
    await once(server, 'listening');
    servers.set(port, server);
  }
  return {
    ports: [...servers.keys()],
    async release() {
      for (const server of servers.values()) if (server.listening) await once(server.close(), 'close');
    },
  };
}
