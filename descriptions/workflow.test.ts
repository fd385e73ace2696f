import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Dependency, WorkflowDescription } from '../domain/workflow-description.ts';
import { findCycle } from './dependencies.ts';
import { parseExactJson } from '../domain/exact-json.ts';
import { instanceCount, instanceParameters } from '../domain/instance.ts';
import { parameterText } from '../domain/parameters.ts';
import { unsupportedInWorkflow } from './unsupported.ts';
import { parseWorkflowDescription } from './workflow.ts';

const job = (name: string) => ({
  name,
  resources: { cpus: 1, memory: 1 },
  tasks: [{ image: 'busybox', runtime: 'singularity' }],
});
const workflow = (changes: Record<string, unknown> = {}) => ({ jobs: [job('a'), job('b')], ...changes });
const sweep = (...parameters: unknown[]) =>
  workflow({ factories: [{ name: 'f', type: 'parameterSweep', jobs: ['a'], parameters }] });

function valid(document: unknown): WorkflowDescription {
  const parsed = parseWorkflowDescription(document);
  if (parsed.kind === 'invalid') throw new Error(JSON.stringify(parsed.issues));
  return parsed.description;
}
function problem(document: unknown): string | undefined {
  const parsed = parseWorkflowDescription(document);
  return parsed.kind === 'invalid' ? parsed.issues[0]?.message : undefined;
}

describe('dependencies', () => {
  test('repeats count once', () => {
    expect(valid(workflow({ dependencies: { a: ['b', 'b'] } })).dependencies).toEqual([
      { parent: 'a', children: ['b'] },
    ]);
  });

  test('a cycle is named by the jobs on it', () => {
    const jobs = ['a', 'b', 'c', 'd'].map(job);
    const dependencies = { a: ['b'], b: ['c'], c: ['d', 'b'] };
    expect(problem({ jobs, dependencies })).toBe('dependencies must not contain a cycle: b -> c -> b');
    expect(problem({ jobs, dependencies: { a: ['a'] } })).toBe('dependencies must not contain a cycle: a -> a');
  });

  test('a long chain takes neither a stack nor much time', () => {
    const names = Array.from({ length: 50_000 }, (_, i) => `j${i}`);
    const chain = names.slice(1).map((name, i): Dependency => ({ parent: `j${i}`, children: [name] }));
    expect(findCycle(chain)).toBeUndefined();
    expect(findCycle([...chain, { parent: 'j49999', children: ['j0'] }])).toHaveLength(50_000);
  });

  test('names of Object.prototype are names like any other', () => {
    const document = `{"jobs": [${JSON.stringify(job('constructor'))}], "dependencies": {"constructor": [], "__proto__": []}}`;
    expect(problem(JSON.parse(document))).toBe('parent job "__proto__" is not actually defined');
  });

  test('edges that only go forward never make a cycle', () => {
    const edges = fc.array(fc.tuple(fc.nat(30), fc.nat(30)), { maxLength: 80 });
    fc.assert(
      fc.property(edges, (pairs) => {
        const forward = pairs.filter(([a, b]) => a < b);
        expect(findCycle(grouped(forward))).toBeUndefined();
        const [first] = forward;
        if (first) expect(findCycle(grouped([...forward, [first[1], first[0]]]))).toBeDefined();
      }),
    );
  });
});

function grouped(edges: [number, number][]): Dependency[] {
  const parents = [...new Set(edges.map(([parent]) => parent))];
  return parents.map((parent) => ({
    parent: String(parent),
    children: edges.filter(([from]) => from === parent).map(([, to]) => String(to)),
  }));
}

describe('factories', () => {
  test.each([
    [{ start: 0, end: 1, step: 0.1 }, 11],
    [{ start: 0, end: 0.3, step: 0.1 }, 4],
    [{ start: 1, end: 4, step: 1 }, 4],
    [{ start: 1, end: 4, step: 2 }, 2],
    [{ start: 4, end: 1, step: -1.5 }, 3],
    [{ start: 2, end: 2, step: 1 }, 1],
    [{ start: 0, end: 1, number: 5 }, 5],
    [{ start: 0, end: 1, number: 1 }, 1],
  ])('a sweep %j has %d values, its end included', (range, values) => {
    const [factory] = valid(sweep({ name: 'x', ...range })).factories;
    expect(factory && instanceCount(factory)).toBe(values);
  });

  test('sweeps multiply and stay ranges', () => {
    const [factory] = valid(
      sweep({ name: 'x', start: 0, end: 9, step: 1 }, { name: 'y', start: 0, end: 1, number: 3 }),
    ).factories;
    expect(factory).toEqual({
      kind: 'parameterSweep',
      name: 'f',
      jobs: ['a'],
      parameters: [
        { name: 'x', count: 10, scale: 0, start: '0', span: '1', parts: 1, isInteger: true },
        { name: 'y', count: 3, scale: 1, start: '0', span: '5', parts: 1, isInteger: true },
      ],
    });
    expect(factory && instanceCount(factory)).toBe(30);
  });

  test.each([
    [{ start: 0, end: 1, step: -1 }, /leads away/],
    [{ start: 1, end: 0, step: 1 }, /leads away/],
    [{ start: 0, end: 1, step: '1' }, /step of parameter "x" must be a number/],
    [{ start: 0, end: 1e300, step: 1e-300 }, /too small/],
    [{ start: 0, end: 1, number: 0 }, /at least 1/],
    [{ start: 1, end: 1, number: 2 }, /number of parameter "x" must be 1 where its start is its end/],
    [{ start: null, end: 1, number: 2 }, /start of parameter "x" must be a number/],
  ])('a sweep %j is refused', (range, message) => {
    expect(problem(sweep({ name: 'x', ...range }))).toMatch(message);
  });

  test('points and values are those that were written, whatever a double makes of them', () => {
    const values = (parameter: string, type = 'parameterSweep') => {
      const document = JSON.stringify(
        workflow({ factories: [{ name: 'f', type, jobs: ['a'], parameters: ['PARAMETER'] }] }),
      );
      const [factory] = valid(parseExactJson(document.replace('"PARAMETER"', `{"name": "x", ${parameter}}`))).factories;
      return Array.from({ length: instanceCount(factory!) }, (_, i) => {
        const { x } = instanceParameters(factory!, i);
        return parameterText(x!);
      });
    };
    const seeds = ['9007199254740992', '9007199254740993', '9223372036854775807', '18446744073709551615', '42'];
    expect(values(`"values": [${seeds.join(', ')}]`, 'zip')).toEqual(seeds);
    const texts = ['2.0', '1e-07', '1e+16', '-0.0', '0', 'a', '1e5', '3'];
    expect(values(`"values": [2.0, 1e-07, 1e16, -0.0, -0, "a", "1e5", 3]`, 'zip')).toEqual(texts);
    expect(values('"start": 9007199254740993, "end": 9007199254740995, "step": 1')).toEqual(
      ['3', '4', '5'].map((last) => `900719925474099${last}`),
    );
    expect(values('"start": 1420405751.766, "end": 1420405751.77, "step": 0.001')).toEqual(
      ['66', '67', '68', '69', '7'].map((last) => `1420405751.7${last}`),
    );
    expect(values('"start": 1.0, "end": 2.0, "step": 5e-1')).toEqual(['1', '1.5', '2']);
    expect(values('"start": 1e22, "end": 3e22, "number": 3')).toEqual(['1e+22', '2e+22', '3e+22']);
    expect(values('"start": 10000000000000000000000, "end": 1e22, "number": 1')).toEqual(['1e+22']);
    const large = '1'.repeat(30);
    expect(values(`"start": ${large}, "end": ${large}, "step": 1`)).toEqual([large]);
  });

  test.each([
    ['"start": 0, "end": 1, "step": 1e-5000', /step of parameter "x" must not have more than 1000 digits/],
    [`"start": 0, "end": ${'1'.repeat(1001)}, "step": 1`, /end of parameter "x" must not have more than 1000 digits/],
    ['"start": 0, "end": 1e400, "step": 1', /end of parameter "x" must be a number/],
    ['"start": 0, "end": 1, "step": 0e-5000', /must not be 0/],
    ['"start": 0, "end": 1, "step": 0.0', /must not be 0/],
    ['"start": [2.0], "end": 1, "step": 1', /start of parameter "x" must be a number/],
  ])('a sweep with %s is refused', (parameter, message) => {
    const document = JSON.stringify(sweep('PARAMETER')).replace('"PARAMETER"', `{"name": "x", ${parameter}}`);
    expect(problem(parseExactJson(document))).toMatch(message);
  });

  test.each(['my-param', '1x', 'µ', 'größe', 'x.y', 'x y', '$x', 'ſ', '{x}'])(
    'a parameter called %s is refused: no template could name it',
    (name) => {
      expect(
        problem(
          workflow({ factories: [{ name: 'f', type: 'zip', jobs: ['a'], parameters: [{ name, values: [1] }] }] }),
        ),
      ).toMatch(/^the name of a parameter must be letters .* nothing could refer to/);
    },
  );

  test('parametricSweep is an older word for parameterSweep', () => {
    const parameters = [{ name: 'x', start: 0, end: 1, step: 1 }];
    const factories = [{ name: 'f', type: 'parametricSweep', jobs: ['a'], parameters }];
    expect(valid(workflow({ factories }))).toEqual(valid(sweep(...parameters)));
  });

  test('the single factory of old is about all jobs', () => {
    const factory = { type: 'zip', parameters: [{ name: 'x', values: ['p', 2] }] };
    expect(valid(workflow({ factory })).factories).toEqual([
      { kind: 'zip', name: 'factory', jobs: ['a', 'b'], parameters: [{ name: 'x', values: ['p', 2] }] },
    ]);
  });

  test.each([
    [{ type: 'zip', parameters: [] }, /must have parameters specified/],
    [{ type: 'zip', parameters: [{ name: 'x', values: [] }] }, /must have a value/],
    [{ type: 'zip', parameters: [{ name: 'x', values: [{}] }] }, /strings or numbers/],
    [{ type: 'zip', parameters: [null] }, /each parameter must be an object/],
    [{ type: 'repeat', number: '2' }, /number of repeats must be an integer/],
    [{ type: ['zip'] }, /invalid factory type/],
  ])('%j is refused', (changes, message) => {
    expect(problem(workflow({ factories: [{ name: 'f', jobs: ['a'], ...changes }] }))).toMatch(message);
  });
});

test('retries of a workflow multiply the launches of its jobs, which have an end', () => {
  const able = {
    sendsEmail: false,
    signsWebhooks: false,
    callsPrivateAddresses: false,
    runsBenchmarks: false,
    mostJobs: 10,
    imageDirectories: [],
    email: undefined,
  };
  const told = (count: number, maximumRetries: number) => {
    const tasks = Array.from({ length: count }, () => ({ image: 'busybox', runtime: 'singularity' }));
    const jobs = [{ ...job('a'), tasks, policies: { maximumRetries: 6, maximumTaskRetries: 6 } }];
    return unsupportedInWorkflow(valid({ jobs, policies: { maximumRetries } }), able);
  };
  expect(told(5, 10)).toBeUndefined();
  expect(told(6, 9)).toBeUndefined();
  expect(told(6, 10)).toMatch(/^a job may start its tasks at most 3000 times.*\(job "a"\)$/);
});

describe('for all documents', () => {
  test('nothing makes it throw', () => {
    const keys = fc.constantFrom('name', 'labels', 'jobs', 'dependencies', 'factories', 'policies', 'factory');
    const inner = fc.dictionary(
      fc.constantFrom('name', 'type', 'jobs', 'parameters', 'values', 'start', 'end', 'step', 'number', '__proto__'),
      fc.oneof(fc.jsonValue(), fc.constantFrom('zip', 'repeat', 'parameterSweep')),
    );
    const any = fc.oneof(fc.jsonValue(), inner, fc.array(inner));
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), fc.dictionary(keys, any)), (document) => {
        const parsed = parseWorkflowDescription(document);
        if (parsed.kind === 'invalid') expect(parsed.issues[0]?.message).toMatch(/\w/);
      }),
      { numRuns: 1000 },
    );
  });
});
