/** Composition root of the API: reads the configuration, connects, and serves until it is told to stop. */
import { setTimeout as pause } from 'node:timers/promises';
import { serve } from '@hono/node-server';
import pino from 'pino';
import { ConfigError } from '../config/config.ts';
import { loadConfig } from '../config/load.ts';
import { connect, type Database } from '../db/connection.ts';
import { migrateDatabase } from '../db/migrate.ts';
import { notify } from '../db/outbox.ts';
import { outboxChannel } from '../db/placements.ts';
import { sealing } from '../secrets/sealing.ts';
import { createObjectStore } from '../storage/create.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { payloadCodec } from '../temporal/codec.ts';
import { createApi } from './app.ts';
import { barList } from './auth/bars.ts';
import { putRules } from './put-rules.ts';
import { objectRoutes } from './routes/objects.ts';

/** What nobody waits for any more must not go on: below the time that an answer may take to begin. */
const statementTimeoutMs = 110_000;

async function main(): Promise<void> {
  const config = loadConfig({ env: process.env });
  const log = pino({ level: config.log.level, name: 'api' });
  const { url, poolSize } = config.database;
  const database = connect(url, { poolSize, statementTimeoutMs });
  const store = createObjectStore(config.storage, {
    publicUrl: config.api.publicUrl,
    signingKey: config.auth.signingKey,
  });
  const bars = barList(database.db);
  const app = createApi({
    config,
    db: database.db,
    store,
    sealing: sealing(config.secrets.keys),
    codec: payloadCodec(config.secrets.keys, { acceptUnencrypted: true }),
    wakeOutbox: outboxWaker(database.db),
    log,
    ...(store.kind === 'local' ? { objects: objectRoutes(store, putRules(database.db, bars)) } : {}),
    bars,
  });
  const stopping = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stopping.abort());
  // Serving begins at the first try, whatever it gave: what is away is told in answers, and tried again meanwhile.
  let isReady = await prepare(config.database.url, store, log);
  const { host: hostname, port } = config.api;
  const server = serve({
    fetch: app.fetch,
    hostname,
    port,
    // Uploads to the local store may take longer than the five minutes Node gives a request. A connection is kept for
    // longer than proxies and clients keep theirs: who closes first must not be us, in the moment of a next request.
    serverOptions: { requestTimeout: 0, keepAliveTimeout: 75_000 },
  });
  log.info({ hostname, port }, 'listening');
  while (!isReady && !stopping.signal.aborted) {
    await pause(500);
    isReady = await prepare(config.database.url, store, log);
  }
  if (!stopping.signal.aborted) {
    await new Promise<void>((resolve) => stopping.signal.addEventListener('abort', () => resolve(), { once: true }));
  }
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
    if ('closeIdleConnections' in server) server.closeIdleConnections();
    setTimeout(resolve, 5000).unref();
  });
  await database.close();
}

async function prepare(databaseUrl: string, store: ObjectStore, log: pino.Logger): Promise<boolean> {
  try {
    await store.ensureReady();
    await migrateDatabase(databaseUrl);
    return true;
  } catch (error) {
    log.warn({ error: String(error) }, 'the database or the object store does not answer yet');
    return false;
  }
}

/** Many submits at once wake the sender once: a notification in each would serialise their commits. */
function outboxWaker(db: Database): () => void {
  let isPending = false;
  return () => {
    if (isPending) return;
    isPending = true;
    setTimeout(() => {
      isPending = false;
      // A sender that is not woken looks by itself soon.
      notify(db, outboxChannel).catch(() => undefined);
    }, 2);
  };
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    console.error(error instanceof ConfigError ? error.message : error);
    process.exit(1);
  },
);
