import fc from 'fast-check';
import { expect, test } from 'vitest';
import { progressOf } from './workflow-progress.ts';

const count = fc.nat(1000);

test('progress adds up to the total (property)', () => {
  const counts = fc.tuple(count, count, count, count, fc.boolean());
  fc.assert(
    fc.property(counts, ([done, failed, queued, rest, isDeleted]) => {
      const total = done + failed + queued + rest;
      const progress = progressOf({ total, done, failed, queued, ...(isDeleted ? { deleted: queued + rest } : {}) });
      const { total: told, ...parts } = progress;
      expect(Object.values(parts).reduce((sum, part) => sum + part, 0)).toBe(told);
    }),
  );
});

test('of a deleted workflow nothing waits, and what was deleted has not failed', () => {
  // Two ran to an end, three were running or queued, which were counted as failed, and two waited for others.
  expect(progressOf({ total: 7, done: 1, failed: 4, queued: 0, deleted: 5 })).toEqual({
    total: 7,
    done: 1,
    failed: 1,
    queued: 0,
    waiting: 0,
    deleted: 5,
  });
});
