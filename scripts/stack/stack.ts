/**
 * The embedded stack: PostgreSQL, a Temporal dev server, the API and a worker as supervised child processes, with all
 * state in one folder. Users' containers are not its children: they run on when it stops or dies.
 */
import { join, resolve } from 'node:path';
import { issueToken } from '../../api/auth/tokens.ts';
import { ConfigError } from '../../config/config.ts';
import { buildAccountWall, type AccountWall } from './account-wall.ts';
import { findTemporalCli } from '../components/temporal-cli.ts';
import { findApptainer } from '../components/apptainer.ts';
import { findRclone } from '../components/rclone.ts';
import { findUdocker } from '../components/udocker.ts';
import { findPostgres } from '../components/postgres-binaries.ts';
import { thisMachine, type Machine } from '../machine.ts';
import { environmentFor, writeConfiguration, type Settings } from './configuration-file.ts';
import { openHome, readPorts, rememberPorts, type Home } from './home.ts';
import { stopLeftovers } from './leftovers.ts';
import { isHealthy, nodeChild } from './node-child.ts';
import { claim, forget } from './pid-file.ts';
import { isPortFree, pickPort } from './ports.ts';
import { postgresServer, type PostgresServer } from './postgres.ts';
import { resendAfterPowerCut } from './power-cut.ts';
import { SupervisedProcess, type ChildSpec } from './supervised-process.ts';
import { ensureSearchAttributes, hasWorkers, temporalChild, type TemporalPorts } from './temporal.ts';

/** In the order they are started; they stop in the opposite one. */
export const childNames = ['postgres', 'temporal', 'worker', 'api'] as const;
export type ChildName = (typeof childNames)[number];

export interface StackOptions {
  /** The folder that keeps everything; default PROMINENCE_HOME or .prominence. */
  home?: string;
  /** The API's port. Must be free. Default: the one it had before if free, else any free one. */
  port?: number;
  /** A database of your own in place of the embedded one. */
  databaseUrl?: string;
  /** Only these; default all. */
  children?: readonly ChildName[];
  /** Whole sections of the configuration, written to the home's file and kept there. */
  settings?: Settings;
  log?: (message: string) => void;
}

export interface Stack {
  home: string;
  apiUrl: string;
  temporalAddress: string;
  temporalUiUrl: string;
  /** Who can reach these two, for people. */
  temporalWall: string;
  databaseUrl: string;
  /** What the API and the worker read; holds secrets. */
  configFile: string;
  /** Where e-mail is kept; undefined: it is sent. */
  mailFolder: string | undefined;
  /** A token for the stack's API. */
  token(user: string, groups?: string[], expiresSeconds?: number): Promise<string>;
  /** Those that run here, with the pid of the moment: it changes when one is started again. */
  children: Partial<Record<ChildName, { readonly pid: number | undefined }>>;
  /** Stops all children in order. */
  stop(): Promise<void>;
}

/** The stack can't be started as things are; the message says what to do. */
export class StackRefused extends Error {
  override readonly name = 'StackRefused';
}

/**
 * Resolves when every part is ready.
 * @throws StackRefused when the home is in use, the port is taken or a part is missing
 * @throws ChildFailed with the last lines of its log when a part does not start
 */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const machine = thisMachine();
  const log = options.log ?? (() => undefined);
  const home = usableHome(resolve(options.home ?? machine.home));
  const holder = claim(home.lockFile);
  if (holder) throw new StackRefused(`a stack is already running on ${home.path} (process ${holder.pid})`);

  const started: SupervisedProcess[] = [];
  const walls: AccountWall[] = [];
  const stop = async (): Promise<void> => {
    for (const child of [...started].reverse()) await child.stop();
    for (const wall of walls.splice(0)) await wall.remove();
    forget(home.lockFile);
  };
  try {
    await stopLeftovers(home, [...childNames].reverse(), log);
    return await bringUp({ machine, home, options, log, started, walls, stop });
  } catch (error) {
    await stop();
    if (error instanceof ConfigError) {
      throw new StackRefused(`${home.configFile} can't be used:\n  ${error.problems.join('\n  ')}`);
    }
    throw error;
  }
}

/** @throws StackRefused when the folder can't be made or used */
function usableHome(path: string): Home {
  try {
    return openHome(path);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    throw new StackRefused(`${path} can't be the stack's folder: ${error.message}`);
  }
}

interface Startup {
  machine: Machine;
  home: Home;
  options: StackOptions;
  log: (message: string) => void;
  /** Filled as children start, so that a failure can stop them. */
  started: SupervisedProcess[];
  /** Likewise, to be taken down when all have stopped. */
  walls: AccountWall[];
  stop: () => Promise<void>;
}

async function bringUp({ machine, home, options, log, started, walls, stop }: Startup): Promise<Stack> {
  const wanted = new Set<ChildName>(options.children ?? childNames);
  const ports = await choosePorts(home, options.port);
  const running: Stack['children'] = {};
  const start = async (name: ChildName, spec: ChildSpec): Promise<void> => {
    const child = new SupervisedProcess(spec, log);
    started.push(child);
    await child.start();
    running[name] = child;
  };

  const server = options.databaseUrl ? undefined : await embeddedPostgres(machine, home, ports.postgres);
  const databaseUrl = options.databaseUrl ?? server?.url ?? '';
  const temporalAddress = `127.0.0.1:${ports.temporal}`;
  const temporalUiUrl = `http://127.0.0.1:${ports.temporalUi}`;
  const configuration = writeConfiguration(
    home,
    { apiPort: ports.api, databaseUrl, temporalAddress, temporalUiUrl },
    options.settings,
  );
  const apiUrl = `http://${reachable(configuration.api?.host)}:${ports.api}`;

  const temporalPorts: TemporalPorts = {
    port: ports.temporal,
    httpPort: ports.temporalHttp,
    metricsPort: ports.temporalMetrics,
    uiPort: ports.temporalUi,
  };
  const wall = wanted.has('temporal')
    ? await buildAccountWall(machine, home, Object.values(temporalPorts) as number[])
    : undefined;
  if (wall) walls.push(wall);

  const startPostgres = async (): Promise<void> => {
    if (!server || !wanted.has('postgres')) return;
    await start('postgres', server.child);
    await server.ensureDatabase();
  };
  const startTemporal = async (): Promise<void> => {
    if (!wanted.has('temporal')) return;
    await start(
      'temporal',
      temporalChild({
        home,
        program: temporalProgram(machine),
        ports: temporalPorts,
        codecUrl: `${apiUrl}/codec`,
        onStarted: (pid) => wall?.follow(pid),
      }),
    );
    await ensureSearchAttributes(temporalAddress);
  };
  await allOrFirstError([startPostgres(), startTemporal()]);
  if (wanted.has('temporal') && wanted.has('worker')) await resendAfterPowerCut(home, databaseUrl, log);

  const env = environmentFor(home, machine.env, runtimeFolders(machine));
  const startNode = async (name: 'api' | 'worker', main: string, isReady: () => Promise<boolean>): Promise<void> => {
    if (!wanted.has(name)) return;
    await start(name, nodeChild({ name, main, repository: machine.repository, home, env, isReady }));
  };
  // A worker whose Temporal is left out on purpose can't become ready: it waits for one.
  const isWorking = wanted.has('temporal') ? () => hasWorkers(temporalAddress) : () => Promise.resolve(true);
  await allOrFirstError([
    startNode('worker', 'workers/main.ts', isWorking),
    startNode('api', 'api/server.ts', () => isHealthy(apiUrl)),
  ]);

  const signingKey = configuration.auth?.signingKey ?? '';
  return {
    mailFolder: configuration.notifications?.smtp ? undefined : configuration.notifications?.mailDirectory,
    home: home.path,
    apiUrl,
    temporalAddress,
    temporalUiUrl,
    temporalWall: wall?.said ?? 'Temporal is not run here',
    databaseUrl,
    configFile: home.configFile,
    token: (username, groups = [], expiresSeconds = 86_400) =>
      issueToken(signingKey, { username, groups, expiresSeconds }),
    children: running,
    stop,
  };
}

interface Ports {
  api: number;
  postgres: number;
  temporal: number;
  temporalUi: number;
  temporalHttp: number;
  temporalMetrics: number;
}

async function choosePorts(home: Home, apiPort: number | undefined): Promise<Ports> {
  const before = readPorts(home);
  if (apiPort !== undefined && !(await isPortFree(apiPort))) {
    throw new StackRefused(`port ${apiPort} is in use by another program: set PROMINENCE_PORT to a free one`);
  }
  const taken = new Set<number>();
  const pick = async (wished: number | undefined): Promise<number> => {
    const port = await pickPort(wished, taken);
    taken.add(port);
    return port;
  };
  const ports = {
    api: await pick(apiPort ?? before.api),
    postgres: await pick(before.postgres),
    temporal: await pick(before.temporal),
    temporalUi: await pick(before.temporalUi),
    temporalHttp: await pick(before.temporalHttp),
    temporalMetrics: await pick(before.temporalMetrics),
  };
  rememberPorts(home, ports);
  return ports;
}

function embeddedPostgres(machine: Machine, home: Home, port: number): Promise<PostgresServer> {
  const binaries = findPostgres(machine);
  if (!binaries) throw new StackRefused('PostgreSQL is not set up: run npm run setup, or set DATABASE_URL');
  return postgresServer({ home, binaries, port });
}

function temporalProgram(machine: Machine): string {
  const found = findTemporalCli(machine);
  if (!found) throw new StackRefused('the Temporal CLI is not set up: run npm run setup');
  return found.path;
}

/** An address that the API listens on, as others reach it. */
function reachable(host: string | undefined): string {
  return host === undefined || host === '0.0.0.0' ? '127.0.0.1' : host;
}

/** Where the worker finds the container runtimes, and what mounts storage, that are not on PATH already. */
function runtimeFolders(machine: Machine): string[] {
  return [findApptainer(machine), findUdocker(machine), findRclone(machine)].flatMap((found) =>
    found && found.from !== 'PATH' ? [join(found.path, '..')] : [],
  );
}

/** Waits for all even when one fails: what is half started must be stopped too. */
async function allOrFirstError(parts: readonly Promise<void>[]): Promise<void> {
  const results = await Promise.allSettled(parts);
  const failed = results.find((result) => result.status === 'rejected');
  if (failed) throw failed.reason;
}
