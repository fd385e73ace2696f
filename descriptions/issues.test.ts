import { describe, expect, it } from 'vitest';
import { issueList, type Issue } from './issues.ts';
import { parseJobDescription } from './job.ts';
import { parseWorkflowDescription } from './workflow.ts';

const job = (changes: object = {}) => ({
  name: 'a',
  resources: { cpus: 1, memory: 1 },
  tasks: [{ image: 'busybox', runtime: 'singularity' }],
  ...changes,
});
const zip = (changes: object) => ({
  jobs: [job()],
  factories: [{ name: 'f', type: 'zip', jobs: ['a'], parameters: [{ name: 'x', values: [1] }], ...changes }],
});

function issuesOf(document: unknown): Issue[] {
  return [parseJobDescription(document), parseWorkflowDescription(document)].flatMap((parsed) =>
    parsed.kind === 'invalid' ? parsed.issues : [],
  );
}

const long = 'x'.repeat(1_000_000);
const times = (count: number, entry: unknown) => Array.from({ length: count }, () => entry);
const nested = (depth: number) => times(depth, null).reduce((inner) => [inner], []);

describe('what is told of a document', () => {
  it.each<[string, unknown]>([
    ['NUL characters under a long key', { [long]: times(1_000_000, '\0') }],
    [
      'keys with NUL',
      { [long]: Object.fromEntries(times(1000, 0).map((_, i) => [`\0${i}${long.slice(0, 5000)}`, 0])) },
    ],
    ['zeros', { x: times(4_000_000, 0) }],
    ['empty lists', { x: times(4_000_000, []) }],
    ['depth', { x: nested(100_000) }],
    ['a deep name', zip({ name: nested(20_000), parameters: [{ name: nested(20_000), values: [1] }] })],
    ['a name that is no text', zip({ name: { toString: 1 } })],
    ['children of a long name', { jobs: [job()], dependencies: { [long]: times(1_000_000, 0) } }],
    ['undefined children', { jobs: [job()], dependencies: { [long]: times(1_000_000, 'q') } }],
    ['undefined jobs of a factory', zip({ name: long, jobs: times(1_000_000, 'q') })],
    ['long undefined jobs', zip({ jobs: times(100, long) })],
    ['tasks', job({ tasks: times(4_000_000, 0) })],
    ['artifacts', job({ artifacts: times(1_000_000, '') })],
    ['jobs', { jobs: times(4_000_000, 0) }],
    ['notifications', job({ notifications: times(4_000_000, 0) })],
    ['a long unknown member', { ...job(), [long]: 0 }],
  ])('is small and told soon: %s', (_, document) => {
    const begin = performance.now();
    const issues = issuesOf(document);
    expect(issues).not.toEqual([]);
    // A fraction of a second each; with paths for everything it was up to a minute.
    expect(performance.now() - begin).toBeLessThan(5000);
    expect(JSON.stringify(issues).length).toBeLessThan(400_000);
  });

  it('has whole sentences about names of the lengths that are allowed', () => {
    const name = 'n'.repeat(512);
    const told = issuesOf({ jobs: [job({ name }), job({ name })] }).map(({ message }) => message);
    expect(told).toContain(`all jobs must have unique names: "${name}" is used more than once`);
  });

  it('has a path and a message cut at some length, and no half characters', () => {
    const issues = issueList();
    issues.add('p'.repeat(5000), '😀'.repeat(2500));
    issues.add('a\ud800', 'b\udfff');
    expect(issues.ordered()).toEqual([
      { path: `${'p'.repeat(2000)}...`, message: `${'😀'.repeat(1000)}...` },
      { path: 'a\ufffd', message: 'b\ufffd' },
    ]);
    const odd = issueList();
    odd.add('', `x${'😀'.repeat(2500)}`);
    expect(odd.ordered()[0]!.message).toBe(`x${'😀'.repeat(999)}\ufffd...`);
  });
});
