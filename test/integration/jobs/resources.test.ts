/** The size a job gets, where it left some choice: what is granted is what it is told (docs/wire.md 3.3). */
import { rmSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runningStack, shellJob, shellTask, type RunningStack } from '../../ground/running-stack.ts';

let running: RunningStack;
const workDirectory = `/var/tmp/prominence-test-sizes-${process.pid}`;

beforeAll(async () => {
  running = await runningStack({
    sites: [
      { type: 'local', name: 'local', cpus: 3, memoryGb: 6, diskGb: 10, workDirectory, runtimes: { udocker: 'none' } },
    ],
  });
});
afterAll(async () => {
  await running?.stop();
  rmSync(workDirectory, { recursive: true, force: true });
});

it.each([
  [
    { cpusRange: [1, 8], memory: 1 },
    { cpus: 3, memory: 1 },
  ],
  [
    { cpusRange: [1, 2], memoryPerCpu: 1.5 },
    { cpus: 2, memory: 3 },
  ],
  [
    { cpusRange: [1, 8], memoryPerCpu: 3 },
    { cpus: 2, memory: 6 },
  ],
  [
    { cpusOptions: [1, 2], memory: 1 },
    { cpus: 2, memory: 1 },
  ],
  [
    { cpusOptions: [2, 16], memory: 1 },
    { cpus: 2, memory: 1 },
  ],
  [
    { cpusRange: [1, 8], totalCpusRange: [1, 2], memory: 1 },
    { cpus: 2, memory: 1 },
  ],
  [
    { cpus: 1, memory: 1.5 },
    { cpus: 1, memory: 2 },
  ],
])('%j is given as %j', async (asked, given) => {
  const { rest } = running;
  const id = await rest.submit(
    shellJob('echo $PROMINENCE_CPUS $PROMINENCE_MEMORY $PROMINENCE_NODES', {
      resources: { nodes: 1, disk: 1, ...asked },
    }),
  );
  const job = await rest.ended(id);
  expect(job).toMatchObject({ execution: { provisionedResources: { ...given, nodes: 1, disk: 1 } } });
  const memory = 'memory' in asked ? asked.memory : given.memory;
  expect(await rest.output(id)).toBe(`${given.cpus} ${memory} 1\n`);
});

it('a total that one node can not give is refused in a sentence', async () => {
  const resources = { cpus: 2, totalCpusRange: [6, 8], memory: 1, disk: 1 };
  await expect(running.rest.submit(shellJob('true', { resources }))).rejects.toThrow('more than one node');
});

it('a job of a runtime that the site does not take is refused with the reason', async () => {
  const { rest } = running;
  const id = await rest.submit(shellJob('', { tasks: [shellTask('true'), shellTask('true', { runtime: 'udocker' })] }));
  expect(await rest.ended(id)).toMatchObject({
    status: 'failed',
    statusReason: 'No matching resources',
    statusDetail: 'no machine that may run it has udocker (the site does not take such jobs)',
  });
});
