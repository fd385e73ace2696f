/** Factories of more jobs than one execution holds: groups of shards, beside which others still get their turn. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { reasons } from '../../../domain/reasons.ts';
import { shardSize } from '../../../domain/workflow-sizes.ts';
import { buildBusybox } from '../../ground/images.ts';
import { runningStack, shellJob, type RunningStack } from '../../ground/running-stack.ts';
import { WorkflowRest } from './workflow-rest.ts';

let running: RunningStack;
let workflows: WorkflowRest;

beforeAll(async () => {
  running = await runningStack({ execution: { killGraceSeconds: 1 } });
  workflows = new WorkflowRest(running.rest);
});
afterAll(() => running?.stop());

const tooLarge = { nodes: 1, cpus: 4096, memory: 1, disk: 1 };
const several = (name: string, jobs: string[], number: number) => ({ type: 'repeat', name, jobs, number });

describe('a factory of more than a shard', () => {
  it('ends with an outcome for each of its jobs', async () => {
    const number = shardSize + 1;
    const began = Date.now();
    const id = await workflows.submit({
      name: 'refused',
      jobs: [shellJob('true', { name: 'many', resources: tooLarge }), shellJob('true', { name: 'after' })],
      dependencies: { many: ['after'] },
      factories: [several('f', ['many'], number)],
    });
    const ended = await workflows.ended(id, 300);
    console.log(`${number} jobs without a run: ${((Date.now() - began) / 1000).toFixed(1)} s`);
    expect(ended).toMatchObject({
      status: 'failed',
      progress: { total: number + 1, done: 0, failed: number, queued: 0, waiting: 1 },
    });
    const jobs = await workflows.jobs(id);
    expect(jobs).toHaveLength(number + 1);
    expect(new Set(jobs.slice(0, -1).map(({ statusReason }) => statusReason))).toEqual(
      new Set([reasons.noMatchingResources]),
    );
  }, 320_000);

  it('that fills every machine keeps nobody else waiting, and can be deleted as a whole', async () => {
    const number = shardSize + 1;
    const id = await workflows.submit({
      name: 'wide',
      jobs: [shellJob('sleep 1', { name: 'many' })],
      factories: [several('f', ['many'], number)],
    });
    await workflows.until(id, ({ progress }) => progress.done >= 2, 120);
    const other = await running.as('bob');
    await other.upload('busybox.tar', readFileSync((await buildBusybox()).archive));
    const began = Date.now();
    const single = await other.submit(shellJob('echo in between'));
    expect(await other.ended(single, 60)).toMatchObject({ status: 'completed' });
    const waited = (Date.now() - began) / 1000;
    const { progress } = await workflows.describe(id);
    console.log(`a single job beside ${progress.queued} queued ones: ${waited.toFixed(1)} s`);
    expect(progress.queued).toBeGreaterThan(number / 2);

    const deleting = Date.now();
    await workflows.delete(id);
    const ended = await workflows.ended(id, 240);
    console.log(`deleted after ${((Date.now() - deleting) / 1000).toFixed(1)} s`);
    expect(ended).toMatchObject({ status: 'deleted', progress: { total: number, queued: 0, waiting: 0 } });
    const { done, failed, deleted = 0 } = ended.progress;
    expect(done + failed + deleted).toBe(number);
    expect(deleted).toBeGreaterThan(number / 2);
    const states = new Set((await workflows.jobs(id)).map(({ status }) => status));
    expect(states).toEqual(new Set(['completed', 'deleted']));
  }, 400_000);
});
