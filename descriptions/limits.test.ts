import { describe, expect, it } from 'vitest';
import { parseJobDescription } from './job.ts';
import { limits } from './limits.ts';
import { unsupportedReason } from './unsupported.ts';
import { parseWorkflowDescription } from './workflow.ts';

const task = { image: 'busybox', runtime: 'singularity' };
const job = (changes: object = {}) => ({ name: 'a', resources: { cpus: 1, memory: 1 }, tasks: [task], ...changes });
const workflow = (changes: object = {}) => ({ jobs: [job()], ...changes });
const zip = (parameters: unknown[]) => workflow({ factories: [{ name: 'f', type: 'zip', jobs: ['a'], parameters }] });

const able = {
  sendsEmail: false,
  signsWebhooks: false,
  callsPrivateAddresses: false,
  runsBenchmarks: false,
  mostJobs: 10,
  imageDirectories: [],
  email: undefined,
};
const list = <T>(count: number, entry: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => entry(i));
const members = (count: number, value: string) => Object.fromEntries(list(count, (i) => [`k${i}`, value]));

function problemOf(document: object): string | undefined {
  const parsed = 'jobs' in document ? parseWorkflowDescription(document) : parseJobDescription(document);
  return parsed.kind === 'invalid' ? parsed.issues[0]!.message : undefined;
}

describe('how many a description may have', () => {
  it.each<[keyof typeof limits, (count: number) => object]>([
    ['labels', (count) => job({ labels: members(count, 'x') })],
    ['labels', (count) => workflow({ labels: members(count, 'x') })],
    ['tasks', (count) => job({ tasks: list(count, () => task) })],
    ['variables', (count) => job({ tasks: [{ ...task, env: members(count, 'x') }] })],
    ['artifacts', (count) => job({ artifacts: list(count, (i) => ({ url: `u${i}` })) })],
    ['mountpoints', (count) => job({ artifacts: list(count, (i) => ({ url: 'u', mountpoint: `m${i}:/m${i}` })) })],
    ['inputs', (count) => job({ inputs: list(count, (i) => ({ filename: `f${i}`, content: 'YQ==' })) })],
    ['outputFiles', (count) => job({ outputFiles: list(count, (i) => `o${i}`) })],
    ['outputDirs', (count) => job({ outputDirs: list(count, (i) => `o${i}`) })],
    ['notifications', (count) => job({ notifications: list(count, () => ({ type: 'email' })) })],
    ['jobs', (count) => ({ jobs: list(count, (i) => job({ name: `j${i}` })) })],
    [
      'factories',
      (count) => workflow({ factories: list(count, (i) => ({ name: `f${i}`, type: 'repeat', jobs: [], number: 1 })) }),
    ],
    ['parameters', (count) => zip(list(count, (i) => ({ name: `p${i}`, values: [1] })))],
  ])('%s', (what, document) => {
    const { most, message } = limits[what];
    expect(problemOf(document(most))).toBeUndefined();
    expect(problemOf(document(most + 1))).toBe(message);
    expect(message).toContain(String(most));
  });
});

describe('how long names may be', () => {
  it.each<[string, (length: number) => object, number, RegExp]>([
    ['of parameters', (length) => zip([{ name: 'x'.repeat(length), values: [1] }]), 128, /^the name of a parameter/],
    ['of outputs', (length) => job({ outputFiles: ['ü'.repeat(length / 2)] }), 2000, /outputFiles .* 2000 bytes/],
    // Wide blanks: all else in names has one byte.
    ['of jobs', (length) => job({ name: '\u2003'.repeat(length / 3) + 'x' }), 510, /^job name .* 512 bytes/],
  ])('%s', (_, document, most, message) => {
    expect(problemOf(document(most))).toBeUndefined();
    expect(problemOf(document(most + 3))).toMatch(message);
  });
});

it('a job with as many outputs and mountpoints as there may be is judged soon', () => {
  const parsed = parseJobDescription(
    job({
      artifacts: list(100, (i) => ({ url: 'u', mountpoint: `m${i}:/m${i}` })),
      outputFiles: list(10_000, (i) => `/m99/${i}`),
      outputDirs: list(10_000, (i) => `/m99/d${i}`),
    }),
  );
  if (parsed.kind === 'invalid') throw new Error(parsed.issues[0]!.message);
  const begin = performance.now();
  expect(unsupportedReason(parsed.description, able)).toBeUndefined();
  expect(performance.now() - begin).toBeLessThan(1000);
});
