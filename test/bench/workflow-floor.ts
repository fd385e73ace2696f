/** The floor of durable execution: an empty workflow with one activity on the same Temporal server. */
import { once } from 'node:events';
import { runWorkflows, startChild } from './child.ts';
import { treeOf } from './cpu.ts';
import type { Stack } from '../../scripts/stack/stack.ts';

export interface WorkflowFloor {
  workflows: number;
  atOnce: number;
  perSecond: number;
  seconds: number;
  /** CPU per workflow. */
  temporalCpuMs: number;
  workerCpuMs: number;
  clientCpuMs: number;
}

export async function measureWorkflowFloor(stack: Stack, workflows: number, atOnce: number): Promise<WorkflowFloor> {
  const address = stack.temporalAddress;
  const worker = startChild('floor/worker.ts');
  const ended = once(worker, 'exit');
  try {
    worker.stdin.write(`${address}\n`);
    const order = { address, atOnce };
    // The worker is ready and has compiled what it runs before the clock does.
    await runWorkflows({ ...order, name: `warm-${Date.now()}`, workflows: 50 });
    const cpu = () => ({ temporal: treeOf(stack.children.temporal?.pid), worker: treeOf(worker.pid) });
    const before = cpu();
    const report = await runWorkflows({ ...order, name: `floor-${Date.now()}`, workflows });
    const after = cpu();
    return {
      workflows,
      atOnce,
      seconds: report.seconds,
      perSecond: workflows / report.seconds,
      temporalCpuMs: (after.temporal - before.temporal) / workflows,
      workerCpuMs: (after.worker - before.worker) / workflows,
      clientCpuMs: report.cpuMs / workflows,
    };
  } finally {
    worker.stdin.end();
    await ended;
  }
}
