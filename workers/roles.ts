/** The roles a worker process can have, each started on its own and stopped in the order of `stop`. */
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Client } from '@temporalio/client';
import type { NativeConnection } from '@temporalio/worker';
import { Worker } from '@temporalio/worker';
import type { Logger } from 'pino';
import { createCallActivities, createCallRecordActivities } from '../activities/calls.ts';
import type { AttemptDependencies } from '../activities/attempt.ts';
import { createHostActivities } from '../activities/host.ts';
import { jobTokenSigner } from '../activities/job-token.ts';
import { createMachineActivities } from '../activities/machine.ts';
import { createNotificationActivities } from '../activities/notifications.ts';
import { createRecordActivities } from '../activities/records.ts';
import { createMountActivities } from '../activities/mounts.ts';
import { createDagActivities } from '../activities/dag.ts';
import { inShares } from '../activities/shares.ts';
import { createSignals } from '../activities/signals.ts';
import type { Config } from '../config/config.ts';
import { endBarred } from '../db/bars.ts';
import type { Connection } from '../db/connection.ts';
import { findOpenCall } from '../db/job-calls.ts';
import { findJobHandle } from '../db/job-output.ts';
import { notify } from '../db/outbox.ts';
import { outboxChannel, placementChannel } from '../db/placements.ts';
import { forgetSubmits } from '../db/quotas.ts';
import { gigabyte } from '../config/config.ts';
import { taskQueues } from '../domain/queues.ts';
import { createMailFolder } from '../notifications/mail-folder.ts';
import { createMailer } from '../notifications/mail.ts';
import { createWebhookCaller } from '../notifications/webhook.ts';
import { workerDataConverter } from '../temporal/data-converter.ts';
import { encryptedOnly } from '../temporal/encrypted-activities.ts';
import { standForElection } from '../scheduler/elected.ts';
import { queueLeaver } from '../scheduler/leave-queue.ts';
import { endExpired, placeQueued } from '../scheduler/place.ts';
import { keyRotation } from '../scheduler/key-rotation.ts';
import { quotaKeeper } from '../service/quotas.ts';
import { submit } from '../service/submit-job.ts';
import { removeExpired } from '../scheduler/retention.ts';
import { settlePuts } from '../scheduler/settle-puts.ts';
import type { Sealing } from '../secrets/sealing.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import type { MachineRegistry } from './machines.ts';
import { sendOutbox } from './outbox.ts';
import { startWakingLoop } from './wake.ts';

export interface RoleContext {
  config: Config;
  database: Connection;
  store: ObjectStore;
  sealing: Sealing;
  machines: MachineRegistry;
  temporal: NativeConnection;
  log: Logger;
}

/** A role that runs. `failed` rejects when it can't go on: the process then ends and is started anew. */
export interface RunningRole {
  failed: Promise<void>;
  stop(): Promise<void>;
}

/** A follower mostly waits. */
const mostFollowers = 5000;

const workflowsPath = fileURLToPath(new URL('../workflows/index.ts', import.meta.url));
const interceptorsPath = fileURLToPath(new URL('../workflows/interceptors.ts', import.meta.url));

/** What every worker has; nothing is done for whom our keys are unknown. */
const onTemporal = ({ config, temporal }: RoleContext) => ({
  connection: temporal,
  namespace: config.temporal.namespace,
  dataConverter: workerDataConverter(config.secrets.keys, config.temporal),
  interceptors: { activity: [encryptedOnly], workflowModules: [interceptorsPath] },
});

/**
 * Notifications are delivered by this role: they need the database and the network, and nothing of hosts, whose workers
 * hold keys to machines and may stand where a user's webhook has no business. They have slots of their own, so that a
 * server that answers slowly keeps nothing else waiting.
 */
export async function startWorkflowsRole(context: RoleContext): Promise<RunningRole> {
  return together([await startWorkflowWorker(context), await startNotificationWorker(context)]);
}

async function startNotificationWorker(context: RoleContext): Promise<RunningRole> {
  const { config, database, sealing, log } = context;
  const { smtp, mailDirectory, webhooks } = config.notifications;
  const mailer = smtp ? createMailer(smtp) : mailDirectory === undefined ? undefined : createMailFolder(mailDirectory);
  return runWorker(
    await Worker.create({
      ...onTemporal(context),
      taskQueue: taskQueues.notifications,
      activities: createNotificationActivities({
        db: database.db,
        sealing,
        ...(mailer ? { mailer } : {}),
        webhooks: createWebhookCaller(webhooks),
        ...(webhooks.signingKey === undefined ? {} : { webhookKey: webhooks.signingKey }),
        apiUrl: `${config.api.publicUrl}/v1`,
        log,
      }),
      maxConcurrentActivityTaskExecutions: 20,
      shutdownGraceTime: '5 seconds',
    }),
  );
}

async function startWorkflowWorker(context: RoleContext): Promise<RunningRole> {
  const { config, database, sealing, store } = context;
  const { execution, worker } = config;
  const quotas = quotaKeeper(database.db, config.quotas);
  // Who brings the description has started the execution: nothing is left to be sent.
  const submission = { config, db: database.db, store, sealing, quotas, wakeOutbox: () => {} };
  const deps = { db: database.db, sites: config.sites.map((site) => site.name), ...execution };
  return runWorker(
    await Worker.create({
      ...onTemporal(context),
      taskQueue: taskQueues.workflows,
      workflowsPath,
      activities: {
        ...createRecordActivities({ ...deps, submit: (...given) => submit(submission, ...given) }),
        ...createDagActivities(deps),
        ...createCallRecordActivities(deps),
      },
      maxCachedWorkflows: worker.maxCachedWorkflows,
      maxConcurrentLocalActivityExecutions: 200,
      shutdownGraceTime: '5 seconds',
      // How long a workflow waits for a worker that is gone before another takes it.
      stickyQueueScheduleToStartTimeout: '4 seconds',
    }),
  );
}

export async function startHostsRole(context: RoleContext): Promise<RunningRole> {
  const { config, database, machines, sealing, store, temporal, log } = context;
  const { execution } = config;
  const { db } = database;
  const client = createClient(config, temporal);
  const shared = { db, deployment: config.deployment, machine: (id: number) => machines.machine(id) };
  const onHosts: AttemptDependencies = {
    ...shared,
    store,
    sealing,
    apiUrl: `${config.api.publicUrl}/v1`,
    jobToken: jobTokenSigner(config.auth.signingKey),
    insecureRegistries: execution.insecureRegistries,
    imageDirectories: execution.imageDirectories,
    b2dropUrl: execution.b2dropUrl,
    storagePatienceSeconds: execution.storagePatienceSeconds,
    imageRefreshMinutes: execution.imageRefreshMinutes,
    killGraceSeconds: execution.killGraceSeconds,
    logBytesPerStream: execution.logBytesPerStream,
    mostBytes: config.quotas.jobOutputGb * gigabyte,
  };
  const startWorker = async (taskQueue: string, activities: object, slots: number) =>
    runWorker(
      await Worker.create({
        ...onTemporal(context),
        taskQueue,
        activities,
        maxConcurrentActivityTaskExecutions: slots,
        maxHeartbeatThrottleInterval: '4 seconds',
        // Followers hand over at once; a transfer that is cut is repeated by the next worker.
        shutdownGraceTime: '1 second',
      }),
    );
  const { startTask, killRun, ...transfers } = createHostActivities(onHosts);
  const following = createMachineActivities({
    ...shared,
    signals: createSignals(client),
    logBytesPerStream: execution.logBytesPerStream,
    machineLostAfterSeconds: execution.machineLostAfterSeconds,
    log,
  });
  const { concurrentHostActivities, concurrentCalls, concurrentTransfers } = config.worker;
  const ownerOf = async (jobId: number) => (await findJobHandle(db, jobId))?.owner;
  return together([
    await startWorker(taskQueues.hosts, { startTask, killRun }, concurrentHostActivities),
    await startWorker(
      taskQueues.calls,
      inShares(createCallActivities(onHosts), {
        slots: concurrentCalls,
        ownerOf: async ({ callId }) => ownerOf((await findOpenCall(db, callId))?.jobId ?? 0),
      }),
      concurrentCalls,
    ),
    await startWorker(
      taskQueues.transfers,
      inShares(
        { ...transfers, ...createMountActivities(onHosts) },
        { slots: concurrentTransfers, ownerOf: ({ jobId }) => ownerOf(jobId) },
      ),
      concurrentTransfers,
    ),
    await startWorker(taskQueues.machines, following, mostFollowers),
  ]);
}

export async function startOutboxRole({ config, database, temporal, log }: RoleContext): Promise<RunningRole> {
  const client = createClient(config, temporal);
  const loop = startWakingLoop({
    round: () =>
      sendOutbox(database.db, client, ({ id, kind, target }, error) =>
        log.error({ id, kind, target, error: reasonOf(error) }, 'Temporal refuses it; it is tried again in a minute'),
      ),
    everyMilliseconds: 2000,
    afterErrorMilliseconds: 500,
    onError: (error) => log.warn({ error: String(error) }, 'the outbox could not be sent; it is tried again'),
  });
  const listening = await listen(database, outboxChannel, () => loop.wake(), log);
  return { failed: never, stop: async () => void (await Promise.all([listening.unlisten(), loop.stop()])) };
}

export async function startSchedulerRole({ config, database, sealing, store, log }: RoleContext): Promise<RunningRole> {
  const election = standForElection(config.database.url);
  const leaveQueue = queueLeaver(database.db, { sites: config.sites.map((site) => site.name) });
  const loop = startWakingLoop({
    round: async () => {
      if (!(await election.isElected())) return false;
      const ended = await endExpired(database.db);
      const left = await leaveQueue();
      const placed = await placeQueued(database.db);
      if (placed + ended + left > 0) log.debug({ placed, ended, left }, 'a scheduling round');
      return false;
    },
    everyMilliseconds: 2000,
    afterErrorMilliseconds: 1000,
    onError: (error) => log.warn({ error: String(error) }, 'a scheduling round failed; it is tried again'),
  });
  const retention = { db: database.db, store, settings: config.retention };
  const rotateKeys = sealing.values && keyRotation(database.db, sealing.values);
  const cleaning = startWakingLoop({
    round: async () => {
      if (!(await election.isElected())) return false;
      const sealed = await rotateKeys?.();
      if (sealed?.unreadable) log.warn(sealed, 'the keys of secret values are missing from secrets.keys');
      if (sealed?.rotated) log.info(sealed, 'secret values were encrypted with the new key');
      const { isMore, ...removed } = await removeExpired(retention, new Date());
      if (removed.jobs + removed.workflows > 0) log.info(removed, 'what ended long ago was removed');
      return isMore || sealed?.isMore === true;
    },
    everyMilliseconds: 600_000,
    afterErrorMilliseconds: 60_000,
    onError: (error) => log.warn({ error: String(error) }, 'the regular cleaning failed; it is tried again'),
  });
  const { uploadGb, jobOutputGb } = config.quotas;
  const mostBytes = {
    upload: uploadGb * gigabyte,
    output: jobOutputGb * gigabyte,
    snapshot: jobOutputGb * gigabyte,
  };
  const watching = startWakingLoop({
    round: async () => {
      if (!(await election.isElected())) return false;
      const ended = await endBarred(database.db);
      if (ended > 0) {
        await notify(database.db, outboxChannel);
        log.info({ ended }, 'what the barred had under way is ended');
      }
      await forgetSubmits(database.db);
      const { deleted } = await settlePuts({ db: database.db, store }, mostBytes);
      if (deleted.length > 0) log.warn({ deleted }, 'uploads were larger than one may be, and are deleted');
      return false;
    },
    everyMilliseconds: 10_000,
    afterErrorMilliseconds: 10_000,
    onError: (error) => log.warn({ error: String(error) }, 'a look at quotas and bars failed; it is tried again'),
  });
  const listening = await listen(database, placementChannel, () => loop.wake(), log);
  return {
    failed: never,
    stop: async () => {
      await Promise.all([listening.unlisten(), loop.stop(), cleaning.stop(), watching.stop()]);
      await election.close();
    },
  };
}

function createClient({ temporal, secrets }: Config, connection: NativeConnection): Client {
  const { namespace } = temporal;
  return new Client({ connection, namespace, dataConverter: workerDataConverter(secrets.keys, temporal) });
}

const never = new Promise<void>(() => {});

/** Errors of Temporal's client say what happened in their cause. */
const reasonOf = (error: unknown): string =>
  error instanceof Error && error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : String(error);

function together(parts: RunningRole[]): RunningRole {
  return {
    failed: Promise.race(parts.map(({ failed }) => failed)),
    stop: async () => void (await Promise.all(parts.map((part) => part.stop()))),
  };
}

function runWorker(worker: Worker): RunningRole {
  const running = worker.run();
  return {
    failed: running,
    async stop() {
      if (worker.getState() === 'RUNNING') worker.shutdown();
      await running;
    },
  };
}

/** postgres.js listens again by itself after the connection was lost. */
async function listen(database: Connection, channel: string, onNotify: () => void, log: Logger) {
  for (;;) {
    try {
      return await database.sql.listen(channel, onNotify, onNotify);
    } catch (error) {
      log.warn({ error: String(error) }, 'the database does not answer yet');
      await pause(500);
    }
  }
}
