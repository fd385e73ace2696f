import { describe, expect, test } from 'vitest';
import { planWorkflow } from '../domain/workflow-plan.ts';
import { warningsOfJob, warningsOfPlan, warningsOfWorkflow } from './templates.ts';
import { parseWorkflowDescription } from './workflow.ts';

const job = (name: string, task: object = {}, changes: object = {}) => ({
  name,
  resources: { cpus: 1, memory: 1 },
  tasks: [{ image: 'busybox', runtime: 'singularity', ...task }],
  ...changes,
});
const sentence = (name: string, place: string) =>
  `$${name} in ${place} is no parameter of the factory, and stays as it is`;
const zip = { name: 'f', type: 'zip', jobs: ['a'], parameters: [{ name: 'x', values: [1] }] };

describe('names that are no parameters', () => {
  test.each([
    ['tasks[0].cmd', job('a', { cmd: 'run $x $y' })],
    ['tasks[0].workdir', job('a', { workdir: '${y}/$PROMINENCE_JOB_ID' })],
    ['tasks[0].stdout', job('a', { stdout: '$y.log' })],
    ['tasks[0].env.A', job('a', { env: { A: '$y', B: '$x', C: 2 } })],
    ['artifacts[0].url', job('a', {}, { artifacts: [{ url: 'in-$y' }, { url: 'https://h/$z' }] })],
    ['outputFiles[1]', job('a', {}, { outputFiles: ['$x', '$y'] })],
    ['outputDirs[0]', job('a', {}, { outputDirs: ['$y$$z'] })],
  ])('are told of %s, in the dry run and to whoever describes it', (place, template) => {
    const document = { jobs: [template, job('b', { cmd: '$none' })], factories: [zip] };
    const told = [`job "a": ${sentence('y', place)}`];
    expect(warningsOfWorkflow(document)).toEqual(told);
    const parsed = parseWorkflowDescription(document);
    if (parsed.kind === 'invalid') throw new Error(parsed.issues[0]!.message);
    expect(warningsOfPlan(planWorkflow(parsed.description).steps)).toEqual(told);
    expect(warningsOfJob(template, ['x'])).toEqual([sentence('y', place)]);
  });

  test('are not what a shell or the service knows', () => {
    const cmd = `sh -c 'n=1; for f in *; do read line < $f; echo $n $f $line $HOME $PROMINENCE_CPUS $A $x $$; done'`;
    expect(warningsOfJob(job('a', { cmd, env: { A: '1' } }), ['x'])).toEqual([]);
  });

  test('are told of a repeat and of older words too', () => {
    expect(
      warningsOfWorkflow({
        jobs: [job('a', { cmd: '$i' })],
        factories: [{ name: 'f', type: 'repeat', jobs: ['a'], num: 2 }],
      }),
    ).toEqual([`job "a": ${sentence('i', 'tasks[0].cmd')}`]);
    const factory = { type: 'parametricSweep', parameters: [{ name: 'x', start: 0, end: 1, step: 1 }] };
    expect(warningsOfWorkflow({ jobs: [job('a', { workDir: '$x$y' })], factory })).toEqual([
      `job "a": ${sentence('y', 'tasks[0].workdir')}`,
    ]);
  });

  test('are few and told soon, whatever there is', () => {
    const names = Array.from({ length: 200_000 }, (_, i) => `$n${i}`);
    for (const cmd of [
      names.join(' '),
      '$y'.repeat(2_000_000),
      'a'.repeat(4_000_000),
      names.map((name) => `${name.slice(1)}= ${name}`).join(' '),
    ]) {
      const document = { jobs: [job('a', { cmd })], factories: [zip] };
      const begin = performance.now();
      expect(warningsOfWorkflow(document).length).toBeLessThanOrEqual(100);
      expect(performance.now() - begin).toBeLessThan(1000);
    }
  });
});
