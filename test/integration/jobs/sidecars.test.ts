/** Tasks that run beside the others (docs/wire.md 7.5), on the whole stack. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { processesWith } from '../../ground/processes.ts';
import type { Rest } from '../../ground/rest.ts';
import { eventually } from '../../ground/rest.ts';
import { runningStack, shellJob, shellTask, type RunningStack } from '../../ground/running-stack.ts';

let running: RunningStack;
let rest: Rest;

beforeAll(async () => {
  running = await runningStack({ execution: { killGraceSeconds: 15 } });
  rest = running.rest;
});
afterAll(() => running?.stop());

const sidecar = (line: string) => shellTask(line, { type: 'sidecar' });
const memory = (gigabytes: number) => ({ resources: { nodes: 1, cpus: 1, memory: gigabytes, disk: 1 } });
/** Holds that much for as long as it runs, and a little more, by which it is known among others. */
const fill = (megabytes: number) => `dd if=/dev/zero of=/dev/null bs=${megabytes * 1_000_000 + process.pid}`;

describe('a sidecar', () => {
  it('runs beside the tasks from before the first until after the last, and can save its work', async () => {
    const id = await rest.submit(
      shellJob('', {
        tasks: [
          shellTask('while [ ! -e beat ]; do sleep 0.1; done; echo first $PROMINENCE_TASK_NUM'),
          sidecar(
            'echo side $PROMINENCE_TASK_NUM; trap "echo saved >saved; exit" TERM; while :; do touch beat; sleep 0.1; done',
          ),
          shellTask('rm beat; while [ ! -e beat ]; do sleep 0.1; done; echo second $PROMINENCE_TASK_NUM'),
        ],
        outputFiles: ['saved'],
      }),
    );
    const job = await rest.ended(id, 120);
    expect(job).toMatchObject({ status: 'completed' });
    expect(job.execution.tasks).toHaveLength(2);
    expect(job.execution.tasks.map(({ exitCode }) => exitCode)).toEqual([0, 0]);
    const lines = (await rest.output(id)).trim().split('\n');
    expect(lines.toSorted()).toEqual(['first 1', 'second 2', 'side 0']);
    expect(job.outputFiles![0]!.url).not.toBe('');
  });

  it('that ends early, with whatever code, changes nothing', async () => {
    const tasks = [
      sidecar('echo bye; touch gone; exit 9'),
      shellTask('while [ ! -e gone ]; do sleep 0.1; done; echo on'),
    ];
    const id = await rest.submit(shellJob('', { tasks }));
    expect(await rest.ended(id, 120)).toMatchObject({ status: 'completed', execution: { tasks: [{ exitCode: 0 }] } });
    expect(await rest.output(id)).toBe('bye\non\n');
  });

  it('ends when the tasks stop at a failure, also one that ignores TERM and made daemons', async () => {
    const stubborn = sidecar('trap "" TERM; (setsid sleep 4821 &); while :; do sleep 4822; done');
    const id = await rest.submit(shellJob('', { tasks: [stubborn, stubborn, shellTask('exit 3'), shellTask('true')] }));
    expect(await rest.ended(id, 120)).toMatchObject({ status: 'completed', execution: { tasks: [{ exitCode: 3 }] } });
    expect(processesWith('sleep 482')).toEqual([]);
  });

  it('shares the memory of its job', async () => {
    const alone = await rest.submit(
      shellJob('', { ...memory(1), tasks: [sidecar(fill(1500)), shellTask('sleep 4831')] }),
    );
    const over = { status: 'killed', statusReason: 'Job used too much memory' };
    expect(await rest.ended(alone, 120)).toMatchObject({
      ...over,
      execution: { tasks: [{ error: 'MemoryLimitExceeded' }] },
    });
    const most = `echo up; sleep 2; ${fill(700)}`;
    const together = await rest.submit(shellJob('', { ...memory(1), tasks: [sidecar(most), shellTask(most)] }));
    expect(await rest.ended(together, 120)).toMatchObject(over);
    expect([...processesWith('sleep 483'), ...processesWith(fill(700)), ...processesWith(fill(1500))]).toEqual([]);
  });

  it('ends with a deletion', async () => {
    const tasks = [sidecar('echo up; sleep 4841'), shellTask('sleep 4842')];
    const id = await rest.submit(shellJob('', { tasks }));
    await rest.until(id, ({ status }) => status === 'running');
    await eventually(
      () =>
        Promise.resolve(
          processesWith('sleep 4841').length > 0 && processesWith('sleep 4842').length > 0 ? true : undefined,
        ),
      () => 'both never ran',
    );
    await rest.request('DELETE', `/jobs/${id}`);
    const job = await rest.ended(id, 120);
    expect(job).toMatchObject({ status: 'deleted' });
    expect(job.execution.tasks).toHaveLength(1);
    expect(processesWith('sleep 484')).toEqual([]);
  });

  it('whose image can not be had fails the job before a task ran', async () => {
    const tasks = [
      { image: '127.0.0.1:1/none', runtime: 'singularity', cmd: 'true', type: 'sidecar' },
      shellTask('echo ran'),
    ];
    const id = await rest.submit(shellJob('', { tasks }));
    expect(await rest.ended(id, 120)).toMatchObject({ status: 'failed', statusReason: 'Container image pull failed' });
    expect(await rest.output(id)).toBe('');
  });
});
