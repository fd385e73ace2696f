/** Running some jobs of a workflow again, and ending some of those that run. The tasks themselves run nothing. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { reasons } from '../../../domain/reasons.ts';
import { jobsAtOnce, noopJob, noopStack } from '../../ground/noop-stack.ts';
import { shellJob, type RunningStack } from '../../ground/running-stack.ts';
import { WorkflowRest, type ListedInstance } from './workflow-rest.ts';

let running: RunningStack;
let workflows: WorkflowRest;

beforeAll(async () => {
  running = await noopStack();
  workflows = new WorkflowRest(running.rest);
});
afterAll(() => running?.stop());

/** 12 jobs of which every third fails, one that needs them all, one that needs nothing, and one after that. */
function third(): Record<string, unknown> {
  return {
    name: 'third',
    jobs: [noopJob('work', 'exit $code'), noopJob('merge'), noopJob('alone'), noopJob('last')],
    dependencies: { work: ['merge'], alone: ['last'] },
    factories: [
      {
        type: 'zip',
        name: 'f',
        jobs: ['work'],
        parameters: [{ name: 'code', values: Array.from({ length: 12 }, (_, i) => (i % 3 === 0 ? 1 : 0)) }],
      },
    ],
  };
}

const put = (path: string, body?: unknown) => running.rest.request('PUT', path, body as Record<string, unknown>);
async function answer(path: string, body?: unknown): Promise<{ status: number; json: Record<string, unknown> }> {
  const response = await put(path, body);
  return { status: response.status, json: (await response.json()) as Record<string, unknown> };
}
async function rerun(id: number, body?: unknown): Promise<number> {
  const { status, json } = await answer(`/workflows/${id}`, body);
  expect({ status, json }).toMatchObject({ status: 200, json: { id: expect.any(Number) as number } });
  return json['id'] as number;
}
/** Which of the jobs were run in this workflow itself, by place. */
async function ran(id: number): Promise<number[]> {
  const jobs = await workflows.jobs(id);
  return jobs.flatMap(({ statusReason, events }, place) =>
    statusReason === undefined && events.startTime !== undefined && !kept.has(id, jobs[place]!) ? [place] : [],
  );
}
/** A kept job has the times of its first run, before its workflow was made. */
const kept = { has: (id: number, job: ListedInstance) => (job.events.endTime ?? Infinity) <= began.get(id)! };
const began = new Map<number, number>();

describe('a partial rerun', () => {
  let original: number;
  beforeAll(async () => {
    original = await workflows.submit(third());
    expect(await workflows.ended(original)).toMatchObject({
      status: 'failed',
      progress: { total: 15, done: 10, failed: 4, queued: 0, waiting: 1 },
    });
    // Times are whole seconds: what a rerun runs must be told from what ran before.
    await new Promise((resolve) => setTimeout(resolve, 2000));
  });

  async function endedRerun(body: unknown) {
    const at = Math.floor(Date.now() / 1000) - 1;
    const id = await rerun(original, body);
    began.set(id, at);
    return { ended: await workflows.ended(id), ran: await ran(id), jobs: await workflows.jobs(id), id };
  }

  it('runs what failed, and keeps or leaves out the rest', async () => {
    const { ended, ran: places, jobs } = await endedRerun({ jobs: ['work'], status: 'failed' });
    expect(places).toEqual([0, 3, 6, 9]);
    expect(ended).toMatchObject({ status: 'failed', progress: { done: 10, failed: 4, waiting: 1 } });
    expect(jobs[12]).toMatchObject({ status: 'deleted', statusReason: reasons.notSelected });
  });

  it('tells what failed from what was skipped for it', async () => {
    const { ended, ran: places } = await endedRerun({ status: 'failed' });
    expect(places).toEqual([0, 3, 6, 9]);
    expect(ended).toMatchObject({ status: 'failed', progress: { done: 10, failed: 4, waiting: 1 } });
    expect(await answer(`/workflows/${original}`, { status: 'skipped' })).toMatchObject({
      status: 400,
      json: { error: expect.stringContaining('"merge" needs results of "work"') as string },
    });
  });

  it('of instances by number', async () => {
    const { ended, ran: places } = await endedRerun({ jobs: 'work', instances: '0-2, 7' });
    expect(places).toEqual([0, 1, 2, 7]);
    // Instance 0 fails again; 3, 6, 9 and the merge are left out.
    expect(ended).toMatchObject({ status: 'failed', progress: { total: 15, done: 10, failed: 1, waiting: 4 } });
  });

  it('from a job on completes, whatever was left out', async () => {
    const { ended, ran: places } = await endedRerun({ from: ['alone'] });
    expect(places).toEqual([13, 14]);
    expect(ended).toMatchObject({
      status: 'completed',
      statusDetail: '5 were left out',
      progress: { total: 15, done: 10, failed: 0, waiting: 5 },
    });
  });

  it('of a rerun sees what that one kept and left out', async () => {
    const { id } = await endedRerun({ from: ['alone'] });
    const again = await rerun(id, { jobs: ['last'] });
    expect(await workflows.ended(again)).toMatchObject({ status: 'completed', progress: { done: 10, waiting: 5 } });
    const whole = await rerun(id);
    expect(await workflows.ended(whole)).toMatchObject({
      status: 'failed',
      progress: { done: 10, failed: 4, waiting: 1 },
    });
  });

  it.each([
    [{ jobs: ['nobody'] }, 'there is no job "nobody" in the workflow'],
    [{ jobs: ['work'], status: 'running' }, 'the selection has no job of the workflow'],
    [{ jobs: ['merge'] }, 'job "merge" needs results of "work", which has not succeeded and is not selected'],
    [{ job: 'x' }, 'invalid item "job" in selection: it has jobs, from, instances and status'],
    [{ instances: '9-1' }, 'instances must be numbers and ranges of them, such as "0-99,150"'],
    [
      { status: 'broken' },
      'status must be one or more of pending, running, completed, failed, skipped, deleted, killed',
    ],
    [{ jobs: [] }, 'jobs must be the name of a job or a list of names'],
    [[1], 'a selection of jobs must be an object'],
  ])('%j is refused', async (body, error) => {
    expect(await answer(`/workflows/${original}`, body)).toEqual({ status: 400, json: { error } });
  });

  it('of a workflow that still runs takes what has ended', async () => {
    const id = await workflows.submit({
      name: 'busy',
      jobs: [noopJob('work', 'exit 1'), shellJob('while true; do sleep 0.2; done', { name: 'long' }), noopJob('merge')],
      dependencies: { work: ['merge'], long: ['merge'] },
      factories: [{ type: 'repeat', name: 'f', jobs: ['work'], number: 3 }],
    });
    await workflows.until(id, ({ progress }) => progress.failed === 3);
    expect(await answer(`/workflows/${id}`)).toMatchObject({ status: 400 });
    expect(await answer(`/workflows/${id}`, { jobs: ['long'] })).toEqual({
      status: 400,
      json: { error: 'jobs "long" have not ended: wait for them, or select by status' },
    });
    const again = await rerun(id, { jobs: ['work'], status: ['failed'] });
    expect(await workflows.ended(again)).toMatchObject({
      status: 'failed',
      progress: { total: 5, failed: 3, waiting: 2 },
    });
    await workflows.delete(id);
    expect(await workflows.ended(id)).toMatchObject({ status: 'deleted' });
  });
});

describe('a partial cancellation', () => {
  /** Four have room at once. */
  const large = { cpus: jobsAtOnce / 4, memory: 1, disk: 1 };

  it('ends the selected jobs that run or wait, and what depends on them; what ended stays', async () => {
    const id = await workflows.submit({
      name: 'some',
      jobs: [
        shellJob('while true; do sleep 0.2; done', { name: 'long', resources: { ...large, nodes: 1 } }),
        noopJob('after'),
        noopJob('first'),
      ],
      dependencies: { first: ['long'], long: ['after'] },
      // More than have room at once.
      factories: [{ type: 'repeat', name: 'f', jobs: ['long'], number: 6 }],
    });
    await workflows.rest.until(id + 1, ({ status }) => status === 'running', 120);
    const cancel = (body: unknown) => answer(`/workflows/${id}/cancel`, body);
    expect(await cancel(undefined)).toMatchObject({ status: 400 });
    expect(await cancel({ jobs: ['long'], instances: '4-5' })).toEqual({ status: 200, json: { cancelled: 2 } });
    expect(await cancel({ jobs: ['long'], instances: '4-5' })).toEqual({ status: 200, json: { cancelled: 0 } });
    expect(await cancel({ jobs: ['first'] })).toEqual({ status: 200, json: { cancelled: 0 } });
    await workflows.until(id, ({ progress }) => progress.failed === 2);
    const { status, json } = await cancel({ status: ['pending', 'running'] });
    expect({ status, json }).toEqual({ status: 200, json: { cancelled: 5 } });
    const ended = await workflows.ended(id, 120);
    expect(ended).toMatchObject({ status: 'failed', progress: { total: 8, done: 1, queued: 0 } });
    const reasonsOf = (await workflows.jobs(id)).map((job) => job.statusReason);
    expect(new Set(reasonsOf.slice(0, 7))).toEqual(new Set([reasons.deletedByUser]));
    expect(reasonsOf[7]).toBeUndefined();
  });
});
