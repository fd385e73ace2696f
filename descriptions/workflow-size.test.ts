import { describe, expect, test } from 'vitest';
import { planWorkflow } from '../domain/workflow-plan.ts';
import { mostJobsInAll } from './limits.ts';
import { parseWorkflowDescription } from './workflow.ts';
import { tooLarge } from './workflow-size.ts';

/** Of a job that the factory makes many of, and one beside it. */
function problemOf(job: object, factory: object, mostJobs = mostJobsInAll): string | undefined {
  const task = { image: 'busybox', runtime: 'singularity' };
  const [a, b] = ['a', 'b'].map((name) => ({ name, resources: { cpus: 1, memory: 1 }, tasks: [task] }));
  const jobs = [{ ...a, ...job }, b];
  const parsed = parseWorkflowDescription({ jobs, factories: [{ name: 'f', jobs: ['a'], ...factory }] });
  if (parsed.kind === 'invalid') throw new Error(parsed.issues[0]!.message);
  return tooLarge(planWorkflow(parsed.description), mostJobs);
}
const zip = (value: string) => ({ type: 'zip', parameters: [{ name: 'x', values: [value, value] }] });
const repeat = (number: number) => ({ type: 'repeat', number });
const sweep = (...names: string[]) => ({
  type: 'parameterSweep',
  parameters: names.map((name, i) => ({
    name,
    start: 1,
    end: i === 0 ? 999_999 : 1,
    number: i === 0 ? 999_999 : 1,
  })),
});

test('a workflow has a million jobs at most, or what the server allows, by name and by factories together', () => {
  const refusal = (most: number, has: number | string) =>
    `a workflow may have at most ${most} jobs on this server, and this one has ${has}`;
  expect(problemOf({}, repeat(999_999))).toBeUndefined();
  expect(problemOf({}, repeat(1_000_000))).toBe(refusal(1_000_000, 1_000_001));
  expect(problemOf({}, repeat(9), 10)).toBeUndefined();
  expect(problemOf({}, repeat(10), 10)).toBe(refusal(10, 11));
  const many = { name: 'x', start: 0, end: 1, step: 1e-8 };
  expect(problemOf({}, { type: 'parameterSweep', parameters: [many] })).toBe(refusal(1_000_000, 100_000_002));
  const endless = Array.from({ length: 100 }, (_, i) => ({ ...many, name: `p${i}` }));
  expect(problemOf({}, { type: 'parameterSweep', parameters: endless })).toBe(refusal(1_000_000, 'Infinity'));
});

describe('a small description can be too large', () => {
  test('by labels that every job keeps', () => {
    const labels = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`k${i}`, 'v'.repeat(100)]));
    expect(problemOf({ labels }, repeat(100_000))).toBeUndefined();
    expect(problemOf({ labels }, repeat(999_999))).toMatch(/kept with each job/);
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
