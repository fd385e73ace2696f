/** The worker of the floor, a process of its own: told the server's address on stdin, works until it closes. */
import { createInterface } from 'node:readline/promises';
import { fileURLToPath } from 'node:url';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import * as activities from './activity.ts';
import { floorQueue } from './queue.ts';

Runtime.install({ logger: new DefaultLogger('WARN') });
const input = createInterface({ input: process.stdin });
const stopped = new Promise<void>((resolve) => input.once('close', resolve));
const address = await new Promise<string>((resolve) => input.once('line', resolve));
const connection = await NativeConnection.connect({ address });
const worker = await Worker.create({
  connection,
  taskQueue: floorQueue,
  workflowsPath: fileURLToPath(new URL('workflow.ts', import.meta.url)),
  activities,
});
await worker.runUntil(stopped);
await connection.close();
