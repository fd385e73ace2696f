import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { splitCommandLine } from '../domain/command-line.ts';
import type { JobDescription } from '../domain/description.ts';
import { instantiate } from '../domain/instance.ts';
import type { Factory } from '../domain/workflow-description.ts';
import { parseJobDescription } from './job.ts';
import { unlaunchable } from './launchable.ts';

function jobOf(task: Record<string, unknown>): JobDescription {
  const parsed = parseJobDescription({
    resources: { cpus: 1, memory: 1, disk: 1 },
    tasks: [{ image: 'busybox', runtime: 'singularity', ...task }],
  });
  if (parsed.kind === 'invalid') throw new Error(JSON.stringify(parsed.issues));
  return parsed.description;
}
const zip = (values: Record<string, (string | number)[]>): Factory => ({
  kind: 'zip',
  name: 'f',
  jobs: ['j'],
  parameters: Object.entries(values).map(([name, each]) => ({ name, values: each })),
});
const variables = (count: number, value: string) =>
  Object.fromEntries(Array.from({ length: count }, (_, n) => [`V${n}`, value]));

test.each([
  ['one variable', { env: { SAMPLES: 'S'.repeat(200_000) } }, 'environment variable SAMPLES is too long'],
  ['one word', { cmd: `/bin/echo ${'y'.repeat(200_000)}` }, 'a word of cmd is too long'],
  ['one word of an MPI task', { cmd: 'a '.repeat(70_000), type: 'openmpi' }, 'a word of cmd is too long'],
  ['all variables', { env: variables(1000, 'x'.repeat(1100)) }, 'must not come to more than 984000 bytes'],
  ['all words', { cmd: `/bin/echo ${'y '.repeat(250_000)}` }, 'must not come to more than 984000 bytes'],
  [
    'all of both',
    { cmd: `/bin/echo ${'yyyyyyy '.repeat(60_000)}`, env: variables(9, 'x'.repeat(60_000)) },
    '984000 bytes',
  ],
  ['what takes more where it is written down', { env: variables(1000, '<'.repeat(180)) }, '984000 bytes'],
])('%s beyond what a program can be given is refused with the limit', (_, task, sentence) => {
  expect(unlaunchable(jobOf(task))).toContain(sentence);
});

test.each([
  ['1,000 variables', { env: variables(1000, 'x'.repeat(700)) }],
  ['a long command of short words', { cmd: `/bin/echo ${'yyyyyyy '.repeat(80_000)}` }],
  ['a variable of 130,000 bytes', { env: { A: 'é'.repeat(65_000) } }],
])('%s may be asked for', (_, task) => {
  expect(unlaunchable(jobOf(task))).toBeUndefined();
});

describe('what a factory puts into a command', () => {
  const echo = jobOf({ cmd: '/bin/echo region=$region end' });

  it('must leave a line that can be split: the sentence names parameter, value and task', () => {
    const values = ['3-UTR', "5'-UTR", 'a b', '$HOME', '', 'x;y*'];
    const reason = unlaunchable(echo, zip({ region: values }));
    expect(reason).toContain(`when parameter "region" is "5'-UTR" (instance 1)`);
    expect(reason).toContain('(tasks[0])');
    expect(unlaunchable(echo, zip({ region: values.filter((value) => !value.includes("'")) }))).toBeUndefined();
    expect(unlaunchable(jobOf({ cmd: '/bin/echo $region' }), zip({ region: ['C:\\'] }))).toContain('"C:\\\\"');
    expect(unlaunchable(jobOf({ cmd: '/bin/sh -c \'echo "$other"\'' }), zip({ region: ["5'"] }))).toBeUndefined();
  });

  it('counts with the longest of its values', () => {
    const long = 'x'.repeat(90_000);
    expect(unlaunchable(echo, zip({ region: ['a', long] }))).toBeUndefined();
    expect(unlaunchable(jobOf({ cmd: '/bin/echo $region$region' }), zip({ region: ['a', long] }))).toContain('180000');
    expect(unlaunchable(jobOf({}), zip({ region: ['x'.repeat(140_000)] }))).toContain('PROMINENCE_PARAMETER_region');
    const words = 'x '.repeat(40_000);
    const manyTimes = jobOf({ cmd: `/bin/echo ${'$region '.repeat(5)}` });
    expect(unlaunchable(manyTimes, zip({ region: [words] }))).toContain('984000 bytes');
  });

  it('is judged as all instances are, one by one', () => {
    const piece = fc.constantFrom('a', ' ', '"', "'", '\\', '$x', '${y}', '$$', 'echo ');
    const value = fc.string({ unit: fc.constantFrom('a', ' ', '"', "'", '\\', '$'), maxLength: 4 });
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join('')),
        fc.array(fc.tuple(value, value), { minLength: 1, maxLength: 5 }),
        (cmd, rows) => {
          const canSplit = (line: string) => {
            try {
              splitCommandLine(line);
              return true;
            } catch {
              return false;
            }
          };
          fc.pre(canSplit(cmd));
          const template = jobOf({ cmd });
          const factory = zip({ x: rows.map(([x]) => x), y: rows.map(([, y]) => y) });
          const all = rows.every(([x, y]) =>
            canSplit(instantiate(template, { jobId: 1, workflowId: 2, parameters: { x, y } }).tasks[0]!.cmd!),
          );
          expect(unlaunchable(template, factory) === undefined).toBe(all);
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('is judged in time of the size of the document', () => {
    const rows = Array.from({ length: 100_000 }, (_, n) => `'${n}`);
    const cmd = `/bin/echo ${'$x '.repeat(30_001)}`;
    const began = performance.now();
    expect(unlaunchable(jobOf({ cmd }), zip({ x: rows }))).toBeDefined();
    expect(
      unlaunchable(
        jobOf({ cmd: "/bin/echo '$x" + "' '".repeat(1000) + "'" }),
        zip({ x: rows.map((row) => `'${row}`) }),
      ),
    ).toBeUndefined();
    expect(performance.now() - began).toBeLessThan(8000);
  });
});
