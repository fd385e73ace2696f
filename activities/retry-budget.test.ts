import { expect, it } from 'vitest';
import { RetryBudget } from './retry-budget.ts';

const minute = 60_000;
/** As the next attempt gets it: through JSON. */
const after = (budget: RetryBudget, now: number) =>
  new RetryBudget(JSON.parse(JSON.stringify(budget.record)), () => now);

it('counts each kind by itself, over attempts', () => {
  let budget = new RetryBudget(undefined);
  expect([budget.count('pull'), budget.count('unexpected')]).toEqual([1, 1]);
  budget = after(budget, 0);
  expect([budget.count('pull'), budget.count('pull'), budget.count('unexpected')]).toEqual([2, 3, 2]);
});

it('waits an hour for the store from the first time it was away, whatever was met before', () => {
  let budget = new RetryBudget({}, () => 500 * minute);
  for (let passed = 0; passed < 60; passed += 15) {
    budget = after(budget, (500 + passed) * minute);
    expect(budget.mayWaitForStore()).toBe(true);
  }
  expect(after(budget, 561 * minute).mayWaitForStore()).toBe(false);
});

it('waits anew when an attempt in between worked for long', () => {
  const first = new RetryBudget({}, () => 0);
  expect(first.mayWaitForStore()).toBe(true);
  const second = after(first, 90 * minute);
  expect(second.mayWaitForStore()).toBe(true);
  expect(after(second, 140 * minute).mayWaitForStore()).toBe(true);
});
