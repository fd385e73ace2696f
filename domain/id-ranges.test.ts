import fc from 'fast-check';
import { expect, test } from 'vitest';
import { idsWithin, isWithin, type IdRanges } from './id-ranges.ts';

/** As the database makes them: ranges with something missing between any two. */
function rangesOf(ids: number[]): IdRanges {
  const starts = ids.filter((id) => !ids.includes(id - 1));
  const ends = ids.filter((id) => !ids.includes(id + 1));
  return { firsts: starts, lasts: ends };
}
const someIds = fc.uniqueArray(fc.integer({ min: 1, max: 60 })).map((ids) => ids.sort((a, b) => a - b));

test('an id is within ranges exactly when it was put there', () => {
  fc.assert(
    fc.property(someIds, fc.integer({ min: 0, max: 61 }), (ids, id) => {
      expect(isWithin(rangesOf(ids), id)).toBe(ids.includes(id));
    }),
  );
});

test('all come out again in order, in parts of the size that was asked for', () => {
  fc.assert(
    fc.property(someIds, fc.integer({ min: 1, max: 20 }), (ids, atATime) => {
      const parts = [...idsWithin(rangesOf(ids), atATime)];
      expect(parts.flat()).toEqual(ids);
      expect(parts.slice(0, -1).every(({ length }) => length === atATime)).toBe(true);
      expect(parts.every(({ length }) => length > 0 && length <= atATime)).toBe(true);
    }),
  );
});
