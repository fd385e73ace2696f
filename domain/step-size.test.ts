import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { JobDescription } from './description.ts';
import { instanceCount, instanceParameters, instantiate } from './instance.ts';
import { stepSizes } from './step-size.ts';
import { parameterText, type Parameters } from './parameters.ts';
import { sweepByNumber } from './sweep.ts';
import type { Factory } from './workflow-description.ts';
import type { PlannedStep } from './workflow-plan.ts';

const text = fc
  .array(fc.constantFrom('$x', '${x}', '$yy', '$', '$$', '{', 'http', 'a', '/'), { maxLength: 8 })
  .map((parts) => parts.join(''));
const texts = fc.array(text, { maxLength: 3 });
const description = fc.record({ cmds: texts, urls: texts, outputFiles: texts, outputDirs: texts }).map(
  ({ cmds, urls, ...outputs }) =>
    ({
      name: 'step',
      labels: { a: 'label' },
      tasks: cmds.map((cmd, i) => {
        const [workdir, stdout, value = ''] = [urls[i], outputs.outputFiles[i], outputs.outputDirs[i]];
        return { cmd, workdir, stdout, env: { value }, image: '', runtime: 'singularity', type: 'basic' };
      }),
      artifacts: urls.map((url) => ({ url, executable: false })),
      ...outputs,
    }) as unknown as JobDescription,
);
const number = fc.double({ noNaN: true, min: -1e200, max: 1e200 });
const factory: fc.Arbitrary<Factory> = fc.oneof(
  fc.record({ start: number, step: number }).map((range): Factory => {
    const parameters = ['x', 'yy'].map((name) => ({ name, ...range, count: 2 }));
    return { kind: 'parameterSweep', name: 'f', jobs: [], parameters };
  }),
  fc.tuple(fc.bigInt({ min: 0n }), fc.bigInt({ min: 1n }), fc.nat(400)).map(([first, distance, scale]): Factory => {
    const range = { start: { unscaled: -first, scale }, end: { unscaled: distance, scale }, isInteger: false };
    return { kind: 'parameterSweep', name: 'f', jobs: [], parameters: [{ name: 'x', ...sweepByNumber(range, 4) }] };
  }),
  fc.array(fc.oneof(fc.string({ maxLength: 40 }), number), { minLength: 2, maxLength: 2 }).map((values): Factory => {
    return { kind: 'zip', name: 'f', jobs: [], parameters: [{ name: 'x', values }] };
  }),
  fc.constant<Factory>({ kind: 'repeat', name: 'f', jobs: [], number: 2 }),
);

const stepOf = (template: JobDescription, made: Factory): PlannedStep => ({
  name: template.name,
  offset: 0,
  count: instanceCount(made),
  factory: made,
  parents: [],
  description: template,
});

const textsOf = (parameters: Parameters) =>
  Object.entries(parameters).flatMap(([name, value]) => [name, parameterText(value)]);

test('no instance is larger than is told, and all of them keep no more', () => {
  fc.assert(
    fc.property(description, factory, (template, made) => {
      const step = stepOf(template, made);
      const [size] = stepSizes([step]);
      let kept = 0;
      for (let index = 0; index < step.count; index += 1) {
        const parameters = instanceParameters(made, index);
        const { tasks, artifacts, outputFiles, outputDirs } = instantiate(template, { jobId: 1, parameters });
        const ofTasks = tasks.map(({ cmd, workdir, stdout, env }) => [cmd, workdir, stdout, ...Object.values(env)]);
        const all = [ofTasks.flat(), artifacts.map(({ url }) => url), outputFiles, outputDirs].flat();
        const ofInstance = [...all, ...textsOf(parameters)].join('').length;
        expect(ofInstance).toBeLessThanOrEqual(size!.ofInstance);
        kept += ['step', 'a', 'label', ...textsOf(parameters)].join('').length;
      }
      expect(kept).toBeLessThanOrEqual(size!.kept);
    }),
  );
});

test('a factory of many jobs and values is measured once', () => {
  const values = Array.from({ length: 200_000 }, (_, i) => `value ${i}`);
  const made: Factory = { kind: 'zip', name: 'f', jobs: [], parameters: [{ name: 'x', values }] };
  const template = { name: 'step', labels: {}, tasks: [], artifacts: [], outputFiles: ['$x'], outputDirs: [] };
  const step = stepOf(template as unknown as JobDescription, made);
  const begin = performance.now();
  expect(stepSizes(Array.from({ length: 2000 }, () => step)).at(-1)!.ofInstance).toBeGreaterThan(
    2 + 'value 199999'.length,
  );
  expect(performance.now() - begin).toBeLessThan(2000);
});
