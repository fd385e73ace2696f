import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { JobDescription } from './description.ts';
import { instanceCount, instanceParameters, instantiate, substitute } from './instance.ts';
import type { Factory } from './workflow-description.ts';

const sweep = (...parameters: { name: string; start: number; step: number; count: number }[]): Factory => ({
  kind: 'parameterSweep',
  name: 'f',
  jobs: ['j'],
  parameters,
});

const all = (factory: Factory) =>
  Array.from({ length: instanceCount(factory) }, (_, i) => instanceParameters(factory, i));

describe('parameters of an instance', () => {
  it('are short decimals, of plans that are stored already', () => {
    const values = all(sweep({ name: 'x', start: 0, step: 0.1, count: 11 })).map(({ x }) => String(x));
    expect(values).toEqual(['0', '0.1', '0.2', '0.3', '0.4', '0.5', '0.6', '0.7', '0.8', '0.9', '1']);
  });

  it('keep whole numbers of any size, and signs', () => {
    expect(all(sweep({ name: 'x', start: 1234567890123, step: 1, count: 2 }))).toEqual([
      { x: 1234567890123 },
      { x: 1234567890124 },
    ]);
    expect(all(sweep({ name: 'x', start: -1, step: 0.5, count: 3 }))).toEqual([{ x: -1 }, { x: -0.5 }, { x: 0 }]);
  });

  it('change slowest for the first', () => {
    const rows = all(sweep({ name: 'a', start: 1, step: 1, count: 2 }, { name: 'b', start: 0, step: 5, count: 3 }));
    expect(rows.map(({ a, b }) => [a, b])).toEqual([
      [1, 0],
      [1, 5],
      [1, 10],
      [2, 0],
      [2, 5],
      [2, 10],
    ]);
  });

  it('of a zip are the values of its row, verbatim', () => {
    const zip: Factory = {
      kind: 'zip',
      name: 'f',
      jobs: ['j'],
      parameters: [
        { name: 'a', values: [1, 2] },
        { name: 'b', values: ['x y', '1e3'] },
      ],
    };
    expect(all(zip)).toEqual([
      { a: 1, b: 'x y' },
      { a: 2, b: '1e3' },
    ]);
  });

  it('of a repeat are none', () => {
    expect(all({ kind: 'repeat', name: 'f', jobs: ['j'], number: 2 })).toEqual([{}, {}]);
  });

  it('are a different row for each instance', () => {
    const counts = fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(counts, (lengths) => {
        const rows = all(sweep(...lengths.map((count, i) => ({ name: `p${i}`, start: 0, step: 1, count }))));
        expect(new Set(rows.map((row) => JSON.stringify(row))).size).toBe(rows.length);
      }),
    );
  });
});

describe('substitution', () => {
  it('knows $name, ${name} and $$, and leaves the rest alone', () => {
    expect(substitute('$x ${x}y $xy $$x $ $1 ${} $none', { x: 0.3 })).toBe('0.3 0.3y $xy $x $ $1 ${} $none');
  });

  it('takes letters and digits of ASCII for a name, as Python does, and ends it at any other', () => {
    const values = { x: 5, T_1: 300 };
    expect(substitute('$xµm $xé ${x}m $x名 $xſ ${xé} $T_1°C $x-$x.$x', values)).toBe(
      '5µm 5é 5m 5名 5ſ ${xé} 300°C 5-5.5',
    );
    expect(substitute('$xm $µ $T_1_ $1', values)).toBe('$xm $µ $T_1_ $1');
  });

  it('puts numbers in with the digits that were meant', () => {
    expect(substitute('$x $y', { x: { number: '9223372036854775807' }, y: { number: '1e-07' } })).toBe(
      '9223372036854775807 1e-07',
    );
  });

  it('is one pass: a value is never replaced again', () => {
    expect(substitute('$a', { a: '$b $$', b: 'no' })).toBe('$b $$');
  });

  it('does not take names that every object has', () => {
    expect(substitute('$constructor', {})).toBe('$constructor');
  });
});

describe('an instance', () => {
  const template = {
    tasks: [
      {
        cmd: 'run $x $PROMINENCE_JOB_ID $PROMINENCE_WORKFLOW_ID $$',
        workdir: '/w/${PROMINENCE_JOB_ID}/$x',
        env: { A: '$x', B: 'pa$$word', C: '$$x', D: '$none', E: '${y}$$' },
        stdout: 'log-$x$$$none',
      },
    ],
    artifacts: [
      { url: 'in-$x.txt', executable: false },
      { url: 'http://h/$x', executable: false },
    ],
    outputFiles: ['$x-${y}.out'],
    outputDirs: ['d$y'],
  } as unknown as JobDescription;

  it('of a factory has values where they belong, and nowhere else', () => {
    const made = instantiate(template, { jobId: 7, workflowId: 3, parameters: { x: 1, y: 'z' } });
    expect(made.tasks[0]).toEqual({
      cmd: 'run 1 7 3 $',
      workdir: '/w/7/1',
      env: { A: '1', B: 'pa$$word', C: '$x', D: '$none', E: 'z$' },
      stdout: 'log-1$$none',
    });
    expect(made.artifacts.map(({ url }) => url)).toEqual(['in-1.txt', 'http://h/$x']);
    expect([made.outputFiles, made.outputDirs]).toEqual([['1-z.out'], ['dz']]);
  });

  it('outside of factories knows ids only', () => {
    const made = instantiate(template, { jobId: 7 });
    expect(made.tasks[0]!.cmd).toBe('run $x 7 $PROMINENCE_WORKFLOW_ID $$');
    expect(made.outputFiles).toEqual(['$x-${y}.out']);
    expect(made.tasks[0]).toMatchObject({ workdir: '/w/7/$x', env: template.tasks[0]!.env, stdout: 'log-$x$$$none' });
  });
});
