import { expect, test } from 'vitest';
import { rangeOf } from './byte-range.ts';

test.each([
  [undefined, 'whole', 0, 10],
  ['bytes=0-3', 'part', 0, 4],
  ['bytes=4-', 'part', 4, 6],
  ['bytes=-3', 'part', 7, 3],
  ['bytes=-30', 'part', 0, 10],
  ['bytes=9-100', 'part', 9, 1],
  ['bytes=5-4', 'whole', 0, 10],
  ['bytes=0-1,3-4', 'whole', 0, 10],
  ['bytes=-', 'whole', 0, 10],
  ['lines=0-3', 'whole', 0, 10],
  ['bytes=a-b', 'whole', 0, 10],
] as const)('%s of ten bytes is the %s from %d, %d bytes', (header, kind, start, lengthBytes) => {
  expect(rangeOf(header, 10)).toEqual({ kind, start, lengthBytes });
});

test.each([
  ['bytes=10-', 10],
  ['bytes=-0', 10],
  ['bytes=0-', 0],
])('%s of %d bytes can not be had', (header, sizeBytes) => {
  expect(rangeOf(header, sizeBytes)).toEqual({ kind: 'unsatisfiable' });
});
