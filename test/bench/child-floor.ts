/** The floor of a sweep: one workflow that awaits empty children, on the same Temporal server. */
import { once } from 'node:events';
import { Client, Connection } from '@temporalio/client';
import type { Stack } from '../../scripts/stack/stack.ts';
import { startChild } from './child.ts';
import { treeOf } from './cpu.ts';
import { floorQueue } from './floor/queue.ts';
import type { parentWorkflow } from './floor/workflow.ts';

export interface ChildFloor {
  children: number;
  atOnce: number;
  perSecond: number;
  /** CPU per child. */
  temporalCpuMs: number;
  workerCpuMs: number;
}

export async function measureChildFloor(stack: Stack, children: number, atOnce: number): Promise<ChildFloor> {
  const worker = startChild('floor/worker.ts');
  const ended = once(worker, 'exit');
  const connection = await Connection.connect({ address: stack.temporalAddress });
  try {
    worker.stdin.write(`${stack.temporalAddress}\n`);
    const { workflow } = new Client({ connection });
    const run = (workflowId: string, count: number) =>
      workflow.execute<typeof parentWorkflow>('parentWorkflow', {
        workflowId,
        taskQueue: floorQueue,
        args: [{ count, atOnce }],
      });
    await run('floor-warm', 50);
    const cpu = () => ({ temporal: treeOf(stack.children.temporal?.pid), worker: treeOf(worker.pid) });
    const before = cpu();
    const began = performance.now();
    // Parts of the size of a shard, one after the other: a parent's history must not grow without bound.
    for (let done = 0; done < children; done += partSize) {
      await run(`floor-children-${done}`, Math.min(partSize, children - done));
    }
    const seconds = (performance.now() - began) / 1000;
    const after = cpu();
    return {
      children,
      atOnce,
      perSecond: children / seconds,
      temporalCpuMs: (after.temporal - before.temporal) / children,
      workerCpuMs: (after.worker - before.worker) / children,
    };
  } finally {
    await connection.close();
    worker.stdin.end();
    await ended;
  }
}

const partSize = 500;
