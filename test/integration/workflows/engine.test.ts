/** Workflows of real containers: order, failures, factories, deletion, reruns, and a worker that dies in the middle. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { reasons } from '../../../domain/reasons.ts';
import { countEffects, type Effects } from '../../ground/effects.ts';
import { eventually } from '../../ground/rest.ts';
import { runningStack, shellJob, type RunningStack } from '../../ground/running-stack.ts';
import { WorkflowRest, type ListedInstance } from './workflow-rest.ts';

let running: RunningStack;
let effects: Effects;
let workflows: WorkflowRest;

beforeAll(async () => {
  effects = await countEffects();
  running = await runningStack({ execution: { killGraceSeconds: 1 } }, { network: 'host' });
  workflows = new WorkflowRest(running.rest);
});
afterAll(async () => {
  await running?.stop();
  effects?.close();
});

const job = (name: string, line: string, more: Record<string, unknown> = {}) => shellJob(line, { name, ...more });
const chain = (...names: string[]) => Object.fromEntries(names.slice(1).map((child, i) => [names[i]!, [child]]));
const states = (jobs: ListedInstance[]) => Object.fromEntries(jobs.map(({ name, status }) => [name, status]));
const end = ({ events }: ListedInstance) => events.endTime ?? Infinity;
const start = ({ events }: ListedInstance) => events.startTime ?? -Infinity;

describe('dependencies', () => {
  it('a failed branch stops its descendants and nothing else', async () => {
    const id = await workflows.submit({
      name: 'branches',
      jobs: [
        job('root', 'true'),
        job('bad', 'exit 3'),
        job('never', 'true'),
        job('neither', 'true'),
        job('good', 'echo $PROMINENCE_WORKFLOW_ID'),
        job('leaf', 'true'),
      ],
      dependencies: { root: ['bad', 'good'], bad: ['never'], never: ['neither'], good: ['leaf'] },
    });
    const ended = await workflows.ended(id);
    expect(ended).toMatchObject({
      status: 'failed',
      progress: { total: 6, done: 3, failed: 1, queued: 0, waiting: 2 },
    });
    const jobs = await workflows.jobs(id);
    expect(states(jobs)).toEqual({
      'branches/root': 'completed',
      'branches/bad': 'completed',
      'branches/never': 'failed',
      'branches/neither': 'failed',
      'branches/good': 'completed',
      'branches/leaf': 'completed',
    });
    expect(jobs.map((it) => it.id)).toEqual(jobs.map((_, i) => id + 1 + i));
    expect(jobs[2]).toMatchObject({ statusReason: reasons.dependencyFailed });
    expect(start(jobs[4]!)).toBeGreaterThanOrEqual(end(jobs[0]!));
    expect(start(jobs[5]!)).toBeGreaterThanOrEqual(end(jobs[4]!));
    expect(await running.rest.output(jobs[4]!.id)).toBe(`${id}\n`);
  });

  it('a job that reports success whatever its tasks do lets the next one run; retries of workflow and job multiply', async () => {
    const id = await workflows.submit({
      name: 'retried',
      policies: { maximumRetries: 1 },
      jobs: [
        job('ignored', 'exit 1', { policies: { reportJobSuccessOnTaskFailure: true } }),
        job('next', 'true'),
        job('stubborn', `${effects.line('stubborn')}; exit 1`, { policies: { maximumRetries: 1 } }),
      ],
      dependencies: chain('ignored', 'next'),
    });
    const ended = await workflows.ended(id);
    expect(ended).toMatchObject({ status: 'failed', progress: { done: 2, failed: 1, waiting: 0 } });
    expect(effects.count('stubborn')).toBe(4);
    expect((await workflows.jobs(id))[2]).toMatchObject({ status: 'completed', execution: { retries: 3 } });
  });

  it('no jobs at all is a workflow that completes', async () => {
    const ended = await workflows.ended(await workflows.submit({ name: 'empty', jobs: [] }));
    expect(ended).toMatchObject({ status: 'completed', progress: { total: 0, waiting: 0 } });
  });
});

describe('factories', () => {
  it('a sweep gives each instance its value, and what comes after waits for all of them', async () => {
    const id = await workflows.submit({
      name: 'sweep',
      jobs: [
        job('point', 'echo $x $PROMINENCE_PARAMETER_x > $x.txt; cat $x.txt', { outputFiles: ['$x.txt'] }),
        job('sum', 'true'),
      ],
      dependencies: chain('point', 'sum'),
      factories: [
        {
          type: 'parameterSweep',
          name: 'f',
          jobs: ['point'],
          parameters: [{ name: 'x', start: 0.1, end: 3, step: 0.1 }],
        },
      ],
    });
    expect(await workflows.ended(id, 180)).toMatchObject({ status: 'completed', progress: { total: 31, done: 31 } });
    const jobs = await workflows.jobs(id);
    const points = jobs.slice(0, 30);
    const values = Array.from({ length: 30 }, (_, i) => (i + 1) / 10);
    expect(points.map(({ name }) => name)).toEqual(values.map((_, i) => `sweep/point/${i}`));
    expect(points.map(({ parameters }) => parameters)).toEqual(values.map((x) => ({ x })));
    for (const i of [0, 2, 29]) {
      expect(await running.rest.output(points[i]!.id)).toBe(`${values[i]} ${values[i]}\n`);
      const output = points[i]!.outputFiles![0]!;
      expect(output.name).toBe('$x.txt');
      expect(await (await fetch(output.url)).text()).toBe(`${values[i]} ${values[i]}\n`);
    }
    expect(start(jobs[30]!)).toBeGreaterThanOrEqual(Math.max(...points.map(end)));
  });

  it('zips take a row each, repeats are counted', async () => {
    const id = await workflows.submit({
      name: 'rows',
      jobs: [job('zipped', 'c=shell; echo "$a-${b}" $$c'), job('again', 'echo $PROMINENCE_JOB_ID')],
      factories: [
        {
          type: 'zip',
          name: 'z',
          jobs: ['zipped'],
          parameters: [
            { name: 'a', values: [1, -2.5] },
            { name: 'b', values: ['x y', 'z'] },
          ],
        },
        { type: 'repeat', name: 'r', jobs: ['again'], number: 2 },
      ],
    });
    expect(await workflows.ended(id)).toMatchObject({ status: 'completed', progress: { total: 4, done: 4 } });
    const jobs = await workflows.jobs(id);
    const outputs = await Promise.all(jobs.map((it) => running.rest.output(it.id)));
    expect(outputs).toEqual(['1-x y shell\n', '-2.5-z shell\n', `${jobs[2]!.id}\n`, `${jobs[3]!.id}\n`]);
    expect(jobs.map(({ parameters }) => parameters)).toEqual([{ a: 1, b: 'x y' }, { a: -2.5, b: 'z' }, {}, {}]);
  });
});

describe('deletion', () => {
  it('while jobs run ends all of them, also those that never began', async () => {
    const id = await workflows.submit({
      name: 'gone',
      jobs: [job('long', 'while true; do sleep 0.2; done'), job('after', 'true')],
      dependencies: chain('long', 'after'),
      factories: [{ type: 'repeat', name: 'r', jobs: ['long'], number: 12 }],
    });
    await workflows.until(id, ({ status }) => status === 'running');
    await eventually(
      async () => ((await workflows.jobs(id)).some(({ status }) => status === 'running') ? true : undefined),
      () => 'no job ran',
    );
    await workflows.delete(id);
    const ended = await workflows.ended(id);
    expect(ended).toMatchObject({ status: 'deleted', statusReason: reasons.workflowDeletedByUser });
    expect(ended.progress).toEqual({ total: 13, done: 0, failed: 0, queued: 0, waiting: 0, deleted: 13 });
    for (const it of await workflows.jobs(id)) {
      expect(it).toMatchObject({ status: 'deleted', statusReason: reasons.deletedWithWorkflow });
    }
  });
});

describe('rerun', () => {
  it('keeps what succeeded with its outputs, and runs the rest', async () => {
    const gate = await openGate();
    try {
      const id = await workflows.submit({
        name: 'again',
        jobs: [
          job('first', `${effects.line('first')}; echo kept > out; echo said`, { outputFiles: ['out'] }),
          job('gated', `test $i = 0 || wget -q -O - ${gate.url}`),
          job('last', 'true'),
        ],
        dependencies: chain('first', 'gated', 'last'),
        factories: [
          {
            type: 'parameterSweep',
            name: 'f',
            jobs: ['gated'],
            parameters: [{ name: 'i', start: 0, end: 2, step: 1 }],
          },
        ],
      });
      expect(await workflows.ended(id)).toMatchObject({
        status: 'failed',
        progress: { total: 5, done: 2, failed: 2, queued: 0, waiting: 1 },
      });
      gate.open();
      const again = await workflows.rerun(id);
      expect((await workflows.describe(again)).progress.done).toBeGreaterThanOrEqual(2);
      expect(await workflows.ended(again)).toMatchObject({
        status: 'completed',
        rerunOf: id,
        progress: { total: 5, done: 5 },
      });
      expect(effects.count('first')).toBe(1);
      const [first] = await workflows.jobs(again);
      expect(first!.id).toBe(again + 1);
      expect(await running.rest.output(first!.id)).toContain('said\n');
      expect(await (await fetch(first!.outputFiles![0]!.url)).text()).toBe('kept\n');
      expect(await workflows.describe(id)).toMatchObject({ status: 'failed', progress: { done: 2, failed: 2 } });
    } finally {
      gate.close();
    }
  });

  it('of a workflow that still runs is refused', async () => {
    const id = await workflows.submit({ name: 'busy', jobs: [job('long', 'while true; do sleep 0.2; done')] });
    await expect(workflows.rerun(id)).rejects.toThrow(
      'Unable to find re-run workflow as the original workflow is not in a suitable state',
    );
    await workflows.delete(id);
    await workflows.ended(id);
  });
});

describe('kill -9 of the worker', () => {
  it('in the middle of a workflow loses no job and runs none twice', async () => {
    const id = await workflows.submit({
      name: 'survivor',
      jobs: [job('before', 'true'), job('many', `${effects.line('many-')}$i`), job('end', effects.line('end'))],
      dependencies: chain('before', 'many', 'end'),
      factories: [
        { type: 'parameterSweep', name: 'f', jobs: ['many'], parameters: [{ name: 'i', start: 1, end: 40, step: 1 }] },
      ],
    });
    for (const reached of [3, 15]) {
      await workflows.until(id, ({ progress }) => progress.done >= reached, 120);
      const { pid } = running.stack.children['worker']!;
      process.kill(pid!, 'SIGKILL');
      await eventually(
        () => Promise.resolve(running.stack.children['worker']!.pid !== pid ? true : undefined),
        () => 'the worker was not started again',
      );
    }
    expect(await workflows.ended(id, 240)).toMatchObject({ status: 'completed', progress: { total: 42, done: 42 } });
    for (let i = 1; i <= 40; i += 1) expect(effects.count(`many-${i}`), `starts of instance ${i}`).toBe(1);
    expect(effects.count('end')).toBe(1);
  }, 400_000);
});

/** Something outside that is not as it should be until it is opened. */
async function openGate() {
  let isOpen = false;
  const server = createServer((_request, response) => {
    response.statusCode = isOpen ? 200 : 503;
    response.end('gate\n');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    open: () => void (isOpen = true),
    close: () => void server.close(),
  };
}
