/**
 * Health check of a worker's container: asks Temporal whether a worker of this machine has polled its task queue lately.
 * That is what a worker is for, and what a process that hangs does not do. Roles without a queue (outbox, scheduler)
 * are not asked for: what fails there is logged, and tried again in the same process.
 */
import { hostname } from 'node:os';
import { Client, Connection } from '@temporalio/client';
import { loadConfig } from '../config/load.ts';
import { taskQueues } from '../domain/queues.ts';
import { connectionOptions } from '../temporal/connection-options.ts';

/** A poll lasts a minute at most when there is nothing to do; the server forgets pollers after five. */
const latelySeconds = 150;

const config = loadConfig({ env: process.env });
const connection = await Connection.connect({ ...connectionOptions(config.temporal), connectTimeout: '10 s' });
try {
  const client = new Client({ connection, namespace: config.temporal.namespace });
  for (const role of config.worker.roles) {
    if (role !== 'workflows' && role !== 'hosts') continue;
    const queue = taskQueues[role];
    if (!(await isPolledFromHere(client, queue, role))) {
      console.error(`no worker of ${hostname()} has polled ${queue} in the last ${latelySeconds} s`);
      process.exitCode = 1;
    }
  }
} finally {
  await connection.close();
}

/** Workers are known to Temporal as `<pid>@<hostname>`; a container's host name is its own. */
async function isPolledFromHere(client: Client, queue: string, role: 'workflows' | 'hosts'): Promise<boolean> {
  const { pollers } = await client.workflowService.describeTaskQueue({
    namespace: client.options.namespace,
    taskQueue: { name: queue },
    taskQueueType: role === 'workflows' ? 1 : 2,
  });
  const oldest = Date.now() / 1000 - latelySeconds;
  return (pollers ?? []).some(
    ({ identity, lastAccessTime }) =>
      identity?.endsWith(`@${hostname()}`) === true && Number(lastAccessTime?.seconds ?? 0) > oldest,
  );
}
