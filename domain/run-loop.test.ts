import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { TaskResult } from './execution.ts';
import { launchNumberOf } from './launch.ts';
import { newProgress, runLoop, type AnswerTo, type RunProgress, type RunRequest } from './run-loop.ts';

type Plan = Parameters<typeof runLoop>[0];

const policies = {
  maximumRetries: 0,
  maximumTaskRetries: 0,
  ignoreTaskFailures: false,
  reportJobSuccessOnTaskFailure: false,
};
const plan = (changes: Partial<Plan> = {}): Plan => ({
  taskCount: 1,
  hasArtifacts: false,
  hasOutputs: false,
  walltimeSeconds: 100,
  policies,
  ...changes,
});
const result = (changes: Partial<TaskResult> = {}): TaskResult => ({
  exitCode: 0,
  cause: 'exited',
  startedAt: 0,
  endedAt: 1,
  cpuSeconds: 0.5,
  maxResidentSetSizeKb: 10,
  ...changes,
});

type Machine = { [Kind in RunRequest['kind']]?: (request: Extract<RunRequest, { kind: Kind }>) => AnswerTo<Kind> };

/** Drives the loop over a machine where all goes well but for what is said. */
function drive(of: Plan, machine: Machine = {}): { requests: RunRequest[] } & RunProgress {
  const well: Required<Machine> = {
    mount: () => ({ kind: 'mounted' }),
    stageIn: () => ({ kind: 'done', seconds: 2 }),
    startTask: () => ({ kind: 'started' }),
    pullImage: () => ({ kind: 'pulled', image: { imagePullStatus: 'completed' } }),
    awaitEnd: () => result(),
    lookAtSidecars: () => [],
    killTasks: () => undefined,
    stageOut: () => ({ seconds: 3, failures: [] }),
    unmount: () => ({ kind: 'unmounted' }),
  };
  const answers = { ...well, ...machine } as Record<string, (request: RunRequest) => unknown>;
  const progress = newProgress();
  const loop = runLoop(of, progress);
  const requests: RunRequest[] = [];
  for (let next = loop.next(); !next.done;) {
    requests.push(next.value);
    next = loop.next(answers[next.value.kind]!(next.value));
  }
  return { requests, ...progress };
}
const kinds = (requests: RunRequest[]) => requests.map(({ kind }) => kind).join(' ');
const launches = (requests: RunRequest[]) => requests.flatMap((each) => (each.kind === 'startTask' ? [each] : []));

describe('a run', () => {
  it('asks for nothing that it has no use for', () => {
    expect(kinds(drive(plan()).requests)).toBe('startTask awaitEnd');
    const all = plan({ hasStorage: true, hasArtifacts: true, hasOutputs: true, taskCount: 2, sidecars: [0] });
    expect(kinds(drive(all).requests)).toBe(
      'mount stageIn startTask startTask awaitEnd lookAtSidecars killTasks stageOut unmount',
    );
  });

  it('does nothing more where the storage could not be mounted, and only unmounts where an input could not be had', () => {
    const whole = plan({ hasStorage: true, hasArtifacts: true, hasOutputs: true, sidecars: [0], taskCount: 2 });
    const unmounted = drive(whole, { mount: () => ({ kind: 'failed', detail: 'x' }) });
    expect(kinds(unmounted.requests)).toBe('mount');
    expect(unmounted.report.mountFailure).toMatchObject({ detail: 'x' });
    const failed = drive(whole, { stageIn: () => ({ kind: 'failed', step: 'download', detail: 'y', seconds: 1 }) });
    expect(kinds(failed.requests)).toBe('mount stageIn unmount');
    expect(failed).toMatchObject({ report: { stageInFailure: { detail: 'y' } }, timing: { stageInSeconds: 1 } });
  });

  it('pulls an image that is missing again, so often and no more', () => {
    const gone = drive(plan(), { startTask: () => ({ kind: 'imageMissing' }) });
    expect(launches(gone.requests).map(({ isPulled }) => isPulled ?? false)).toEqual([false, ...Array(5).fill(true)]);
    expect(gone.report).toMatchObject({
      imagePullFailure: { detail: /gone again/ as unknown as string },
      tasks: [{ imagePullStatus: 'failed' }],
    });
  });

  it('is over its limit when a sidecar is', () => {
    const killed = drive(plan({ sidecars: [0], taskCount: 3 }), {
      awaitEnd: () => result({ exitCode: 137, cause: 'killed' }),
      lookAtSidecars: () => [result({ cause: 'memory', exitCode: 137 })],
    });
    expect(killed.report).toMatchObject({ limit: 'memory', tasks: [{ error: 'MemoryLimitExceeded' }] });
    expect(kinds(killed.requests)).toBe('startTask startTask awaitEnd lookAtSidecars killTasks');
  });
});

const seconds = fc.integer({ min: 0, max: 40 });
const anyResult = fc
  .record({
    exitCode: fc.constantFrom(0, 0, 1, 137),
    cause: fc.constantFrom('exited', 'exited', 'exited', 'exited', 'memory', 'walltime', 'processes', 'killed'),
    seconds,
  })
  .map(({ seconds: took, ...ended }) =>
    result({ ...(ended as Partial<TaskResult>), startedAt: 1000, endedAt: 1000 + took }),
  );
const anyPlan = fc
  .record({
    taskCount: fc.integer({ min: 1, max: 5 }),
    firstIsSidecar: fc.boolean(),
    hasOutputs: fc.boolean(),
    maximumTaskRetries: fc.integer({ min: 0, max: 4 }),
    ignoreTaskFailures: fc.boolean(),
  })
  .map(({ firstIsSidecar, taskCount, hasOutputs, ...rest }) =>
    plan({
      taskCount: taskCount + (firstIsSidecar ? 1 : 0),
      hasOutputs,
      ...(firstIsSidecar ? { sidecars: [0] } : {}),
      policies: { ...policies, ...rest },
    }),
  );

describe('any run', () => {
  it('starts each launch once, in order, within the walltime and the retries, and nothing after a limit', () => {
    fc.assert(
      fc.property(anyPlan, fc.infiniteStream(anyResult), (of, results) => {
        const ends: { request: RunRequest; result: TaskResult }[] = [];
        const { requests, report } = drive(of, {
          awaitEnd: (request) => {
            const [next] = [...results.take(1)];
            ends.push({ request, result: next! });
            return next!;
          },
        });
        const started = launches(requests);
        const numbers = started.map(({ taskIndex, retry }) => launchNumberOf(taskIndex, retry));
        expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
        const tasks = started.filter(({ taskIndex }) => !of.sidecars?.includes(taskIndex));
        let left = of.walltimeSeconds;
        for (const [index, launch] of tasks.entries()) {
          expect(launch.retry).toBeLessThanOrEqual(of.policies.maximumTaskRetries);
          expect(launch.walltimeSeconds).toBe(left);
          const ended = ends[index]!.result;
          left -= ended.endedAt - ended.startedAt;
          const next = tasks[index + 1];
          const isLimit = ['memory', 'walltime', 'processes'].includes(ended.cause);
          if (isLimit) expect(next).toBeUndefined();
          // A launch is repeated for a failure, and the next task waits for a success, unless failures are ignored.
          if (next?.taskIndex === launch.taskIndex) expect(ended.exitCode).not.toBe(0);
          else if (next && !of.policies.ignoreTaskFailures) expect(ended.exitCode).toBe(0);
          if (next?.taskIndex === launch.taskIndex) expect(left).toBeGreaterThanOrEqual(1);
        }
        const last = ends.at(-1)!.result;
        expect(report.limit).toBe(['memory', 'walltime', 'processes'].includes(last.cause) ? last.cause : undefined);
        expect(report.tasks.map(({ exitCode }) => exitCode)).toEqual(
          report.tasks.map(
            (_, task) => ends.filter(({ request }) => taskOf(request) === indexOf(of, task)).at(-1)!.result.exitCode,
          ),
        );
        // Whatever became of the tasks, what they left is delivered once, when nothing runs any more.
        const tail = kinds(requests)
          .split(' ')
          .slice(-(Number(of.hasOutputs) + Number(of.sidecars !== undefined)));
        const expected = [...(of.sidecars ? ['killTasks'] : []), ...(of.hasOutputs ? ['stageOut'] : [])];
        if (expected.length > 0) expect(tail).toEqual(expected);
        expect(requests.filter(({ kind }) => kind === 'stageOut')).toHaveLength(Number(of.hasOutputs));
      }),
      { numRuns: 500 },
    );
  });
});

const taskOf = (request: RunRequest) => (request.kind === 'awaitEnd' ? request.taskIndex : undefined);
/** Tasks of a report are those that are no sidecars. */
const indexOf = (of: Plan, task: number) => task + (of.sidecars?.length ?? 0);
