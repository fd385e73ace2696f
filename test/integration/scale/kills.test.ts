/** Every part of ours is killed again and again while a workflow of real containers runs. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { connect, type Connection } from '../../../db/connection.ts';
import { countEffects, type Effects } from '../../ground/effects.ts';
import { eventually } from '../../ground/rest.ts';
import { runningStack, shellJob, type RunningStack } from '../../ground/running-stack.ts';
import { WorkflowRest } from '../workflows/workflow-rest.ts';
import { patience, sizes } from './sizes.ts';

let running: RunningStack;
let effects: Effects;
let connection: Connection;

beforeAll(async () => {
  effects = await countEffects();
  running = await runningStack({}, { network: 'host' });
  connection = connect(running.stack.databaseUrl, { poolSize: 2 });
});
afterAll(async () => {
  await connection?.close();
  await running?.stop();
  effects?.close();
});

async function kill(child: 'worker' | 'postgres' | 'temporal' | 'api'): Promise<void> {
  const { pid } = running.stack.children[child]!;
  process.kill(pid!, 'SIGKILL');
  await eventually(
    () => Promise.resolve(running.stack.children[child]!.pid !== pid ? true : undefined),
    () => `${child} was not started again`,
  );
}

const number = sizes.killed;
const seconds = patience(number * 2) + 120;

it(
  `kill -9 of each part in the middle of ${number} jobs: each runs once, progress is exact, no id is missing`,
  async () => {
    const workflows = new WorkflowRest(running.rest);
    const id = await workflows.submit({
      name: 'killed',
      jobs: [shellJob(`${effects.line('job-')}$i`, { name: 'many' }), shellJob(effects.line('end'), { name: 'end' })],
      dependencies: { many: ['end'] },
      factories: [
        {
          type: 'parameterSweep',
          name: 'f',
          jobs: ['many'],
          parameters: [{ name: 'i', start: 1, end: number, step: 1 }],
        },
      ],
    });
    const victims = ['worker', 'postgres', 'temporal', 'api', 'worker'] as const;
    for (const [round, victim] of victims.entries()) {
      const reached = Math.floor((number * (round + 1)) / (victims.length + 2));
      await workflows.until(id, ({ progress }) => progress.done >= reached, seconds);
      await kill(victim);
    }
    const ended = await workflows.ended(id, seconds);
    expect(ended).toMatchObject({
      status: 'completed',
      progress: { total: number + 1, done: number + 1, failed: 0, queued: 0, waiting: 0 },
    });
    const jobs = await connection.sql<{ id: number; ok: boolean }[]>`
    select id, status = 'completed' and succeeded as ok from jobs where workflow_id = ${id} order by id`;
    expect([...jobs]).toEqual(Array.from({ length: number + 1 }, (_, i) => ({ id: id + 1 + i, ok: true })));
    const starts = Array.from({ length: number }, (_, i) => effects.count(`job-${i + 1}`));
    expect(starts.filter((count) => count !== 1)).toEqual([]);
    expect(effects.count('end')).toBe(1);
  },
  seconds * 2000,
);
