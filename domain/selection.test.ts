import { describe, expect, it } from 'vitest';
import { parseRanges, resolveSelection } from './selection.ts';

describe('parseRanges', () => {
  it.each([
    ['3', [[3, 3]]],
    ['0-9', [[0, 9]]],
    [
      ' 20 , 0-9',
      [
        [0, 9],
        [20, 20],
      ],
    ],
    ['5-7,1-5,8', [[1, 8]]],
    ['0-10,2-3', [[0, 10]]],
  ])('%s', (text, ranges) => expect(parseRanges(text)).toEqual(ranges));

  it.each(['', 'a', '1-', '-1', '3-2', '1,,2', '1.5', '12345678901'])('refuses %j', (text) =>
    expect(parseRanges(text)).toBeUndefined(),
  );
});

describe('resolveSelection', () => {
  // a -> b -> d, c -> d, e alone
  const steps = [
    { name: 'a', parents: [] },
    { name: 'b', parents: [0] },
    { name: 'c', parents: [] },
    { name: 'd', parents: [1, 2] },
    { name: 'e', parents: [] },
  ];
  const taken = (selection: Parameters<typeof resolveSelection>[0]) => {
    const resolved = resolveSelection(selection, steps);
    return resolved.kind === 'resolved' ? resolved.selection.steps.map((step) => steps[step]!.name).join('') : resolved;
  };

  it('takes all without names, steps by name, and descendants from a step on', () => {
    expect(taken({})).toBe('abcde');
    expect(taken({ jobs: ['b', 'e'] })).toBe('be');
    expect(taken({ from: ['a'] })).toBe('abd');
    expect(taken({ from: ['a', 'c'] })).toBe('abcd');
    expect(taken({ from: ['a'], jobs: ['c', 'd'] })).toBe('d');
    expect(taken({ jobs: ['x'] })).toEqual({ kind: 'unknownJob', name: 'x' });
  });

  it('carries instances and states along', () => {
    const selection = { jobs: ['c'], instances: [[0, 4]] as [number, number][], status: ['failed' as const] };
    expect(resolveSelection(selection, steps)).toEqual({
      kind: 'resolved',
      selection: { steps: [2], instances: [[0, 4]], status: ['failed'] },
    });
  });
});
