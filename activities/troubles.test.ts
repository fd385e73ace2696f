import { expect, it } from 'vitest';
import { Troubles } from './troubles.ts';

const minute = 60_000;
/** As the next attempt gets it: through JSON. */
const after = (troubles: Troubles, now: number) => new Troubles(JSON.parse(JSON.stringify(troubles.told)), () => now);

it('counts each kind by itself, over attempts', () => {
  let troubles = new Troubles(undefined);
  expect([troubles.count('pull'), troubles.count('unexpected')]).toEqual([1, 1]);
  troubles = after(troubles, 0);
  expect([troubles.count('pull'), troubles.count('pull'), troubles.count('unexpected')]).toEqual([2, 3, 2]);
});

it('waits an hour for the store from the first time it was away, whatever was met before', () => {
  let troubles = new Troubles({}, () => 500 * minute);
  for (let passed = 0; passed < 60; passed += 15) {
    troubles = after(troubles, (500 + passed) * minute);
    expect(troubles.mayWaitForStore()).toBe(true);
  }
  expect(after(troubles, 561 * minute).mayWaitForStore()).toBe(false);
});

it('waits anew when an attempt in between worked for long', () => {
  const first = new Troubles({}, () => 0);
  expect(first.mayWaitForStore()).toBe(true);
  const second = after(first, 90 * minute);
  expect(second.mayWaitForStore()).toBe(true);
  expect(after(second, 140 * minute).mayWaitForStore()).toBe(true);
});
