import { describe, expect, test } from 'vitest';
import { planWorkflow } from '../domain/workflow-plan.ts';
import { parseWorkflowDescription } from './workflow.ts';
import { tooLarge } from './workflow-size.ts';

function problemOf(job: object, factory: object): string | undefined {
  const task = { image: 'busybox', runtime: 'singularity' };
  const jobs = [{ name: 'a', resources: { cpus: 1, memory: 1 }, tasks: [task], ...job }];
  const parsed = parseWorkflowDescription({ jobs, factories: [{ name: 'f', jobs: ['a'], ...factory }] });
  if (parsed.kind === 'invalid') throw new Error(parsed.issues[0]!.message);
  return tooLarge(planWorkflow(parsed.description), 1_000_000);
}
const zip = (value: string) => ({ type: 'zip', parameters: [{ name: 'x', values: [value, value] }] });
const sweep = (...names: string[]) => ({
  type: 'parameterSweep',
  parameters: names.map((name, i) => ({
    name,
    start: 1,
    end: i === 0 ? 1_000_000 : 1,
    number: i === 0 ? 1_000_000 : 1,
  })),
});

describe('a small description can be too large', () => {
  test('by labels that every job keeps', () => {
    const labels = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`k${i}`, 'v'.repeat(100)]));
    expect(problemOf({ labels }, { type: 'repeat', number: 100_000 })).toBeUndefined();
    expect(problemOf({ labels }, { type: 'repeat', number: 1_000_000 })).toMatch(/kept with each job/);
  });

  test('by parameters that every job keeps', () => {
    expect(problemOf({}, sweep('x', 'y'))).toBeUndefined();
    expect(problemOf({}, sweep(...Array.from({ length: 40 }, (_, i) => `p${i}`)))).toMatch(/kept with each job/);
  });

  test('by texts that a parameter is put into many times', () => {
    const outputFiles = ['$x'.repeat(900)];
    expect(problemOf({ outputFiles }, zip('v'.repeat(10_000)))).toBeUndefined();
    expect(problemOf({ outputFiles }, zip('v'.repeat(100_000)))).toMatch(/not come to more than .*\(job "a"\)/);
  });
});
