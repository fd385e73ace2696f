/** A process of its own that runs the floor's workflows, some at a time, and waits for each to end. */
import { text } from 'node:stream/consumers';
import { Client, Connection } from '@temporalio/client';
import { floorQueue } from './queue.ts';
import type { floorWorkflow } from './workflow.ts';

export interface WorkflowOrder {
  address: string;
  name: string;
  workflows: number;
  atOnce: number;
}

export interface WorkflowReport {
  seconds: number;
  cpuMs: number;
}

async function main(): Promise<void> {
  const { address, name, workflows, atOnce } = JSON.parse(await text(process.stdin)) as WorkflowOrder;
  const connection = await Connection.connect({ address });
  const { workflow } = new Client({ connection });
  const cpu = process.cpuUsage();
  const began = performance.now();
  let next = 0;
  const lane = async () => {
    while (next < workflows) {
      const workflowId = `${name}-${(next += 1)}`;
      await workflow.execute<typeof floorWorkflow>('floorWorkflow', { workflowId, taskQueue: floorQueue, args: [] });
    }
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  const seconds = (performance.now() - began) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  await connection.close();
  const report: WorkflowReport = { seconds, cpuMs: (user + system) / 1000 };
  process.stdout.write(JSON.stringify(report));
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
