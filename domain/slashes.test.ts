import { expect, test } from 'vitest';
import { scratchOutputs } from './environment.ts';
import { withoutSlashes, withoutTrailingSlashes } from './slashes.ts';

test.each([
  ['', '', ''],
  ['/', '', ''],
  ['//a/b//', '//a/b', 'a/b'],
  ['a', 'a', 'a'],
])('%j is %j without those at its end, and %j without those around it', (path, trailing, around) => {
  expect(withoutTrailingSlashes(path)).toBe(trailing);
  expect(withoutSlashes(path)).toBe(around);
});

test('a path of slashes takes no longer than another', () => {
  const path = `a${'/'.repeat(1_000_000)}a`;
  const begin = performance.now();
  expect(withoutSlashes(path)).toBe(path);
  expect(scratchOutputs([])(path)).toBe('a/a');
  expect(performance.now() - begin).toBeLessThan(2000);
});
