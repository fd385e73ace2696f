/** Composition root of the workers: reads the configuration, connects, and runs the roles it names until it is told to stop. */
import { setTimeout as pause } from 'node:timers/promises';
import { DefaultLogger, NativeConnection, Runtime } from '@temporalio/worker';
import pino from 'pino';
import { ConfigError, type Config } from '../config/config.ts';
import { loadConfig } from '../config/load.ts';
import { connect } from '../db/connection.ts';
import { registerMachines } from '../db/machines.ts';
import { migrateDatabase } from '../db/migrate.ts';
import { sealing } from '../secrets/sealing.ts';
import { connectionOptions } from '../temporal/connection-options.ts';
import { createObjectStore } from '../storage/create.ts';
import { configuredMachines, MachineRegistry } from './machines.ts';
import {
  startHostsRole,
  startOutboxRole,
  startSchedulerRole,
  startWorkflowsRole,
  type RoleContext,
  type RunningRole,
} from './roles.ts';

const roles: Record<Config['worker']['roles'][number], (context: RoleContext) => Promise<RunningRole>> = {
  workflows: startWorkflowsRole,
  hosts: startHostsRole,
  outbox: startOutboxRole,
  scheduler: startSchedulerRole,
};

async function main(): Promise<void> {
  const config = loadConfig({ env: process.env });
  const access = connectionOptions(config.temporal);
  const log = pino({ level: config.log.level, name: 'worker' });
  const stopping = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stopping.abort());
  Runtime.install({
    shutdownSignals: [],
    logger: new DefaultLogger('WARN', ({ level, message, meta }) => {
      log[level === 'ERROR' ? 'error' : 'warn']({ meta }, message);
    }),
  });

  const untilReady = <T>(what: string, attempt: () => Promise<T>) => retryUntil(stopping.signal, what, attempt, log);
  await untilReady('database', () => migrateDatabase(config.database.url));
  const database = connect(config.database.url, { poolSize: config.database.poolSize });
  const store = createObjectStore(config.storage, {
    publicUrl: config.api.publicUrl,
    signingKey: config.auth.signingKey,
  });
  await untilReady('object store', () => store.ensureReady());
  const machines = new MachineRegistry(config, database.db, (process.env['PATH'] ?? '').split(':').filter(Boolean));
  await registerMachines(
    database.db,
    configuredMachines(config),
    config.sites.map((site) => site.name),
  );
  const temporal = await untilReady('Temporal', () => NativeConnection.connect(access));

  const context: RoleContext = {
    config,
    database,
    store,
    sealing: sealing(config.secrets.keys),
    machines,
    temporal,
    log,
  };
  const running = await Promise.all(config.worker.roles.map((role) => roles[role](context)));
  log.info({ roles: config.worker.roles }, 'working');

  const told = new Promise<void>((resolve) =>
    stopping.signal.addEventListener('abort', () => resolve(), { once: true }),
  );
  await Promise.race([told, ...running.map((role) => role.failed)]);
  await Promise.all(running.map((role) => role.stop()));
  await machines.close();
  await temporal.close();
  await database.close();
}

/** What this process needs may start after it. */
async function retryUntil<T>(
  signal: AbortSignal,
  what: string,
  attempt: () => Promise<T>,
  log: pino.Logger,
): Promise<T> {
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (signal.aborted) throw error;
      log.warn({ error: String(error) }, `${what} does not answer yet`);
      await pause(500);
    }
  }
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    console.error(error instanceof ConfigError ? error.message : error);
    process.exit(1);
  },
);
