import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decimalOf, type Decimal } from './number-text.ts';
import { parameterText } from './parameters.ts';
import { longestPoint, sweepByNumber, sweepBySteps, sweptValue, type Sweep } from './sweep.ts';

const points = (sweep: Sweep): string[] =>
  Array.from({ length: sweep.count }, (_, i) => parameterText(sweptValue(sweep, i)));
const range = (start: string, end: string) => ({ start: decimalOf(start)!, end: decimalOf(end)!, isInteger: false });
const bySteps = (start: string, end: string, step: string) => points(sweepBySteps(range(start, end), decimalOf(step)!));
const byNumber = (start: string, end: string, number: number) => points(sweepByNumber(range(start, end), number));

/** Exact, over one denominator for all of a test: enough for every text there is here. */
const unit = 200;
const exact = (text: string): bigint => scaled(decimalOf(text)!);
const scaled = ({ unscaled, scale }: Decimal): bigint => unscaled * 10n ** BigInt(unit - scale);
const magnitude = (value: bigint) => (value < 0n ? -value : value);

const decimal = fc
  .tuple(fc.bigInt({ min: -(10n ** 25n), max: 10n ** 25n }), fc.integer({ min: -20, max: 30 }))
  .map(([digits, power]) => `${digits}e${power}`);
const plain = fc
  .tuple(fc.integer({ min: -100_000, max: 100_000 }), fc.integer({ min: -8, max: 0 }))
  .map(([digits, power]) => `${digits}e${power}`);
const anyDecimal = fc.oneof(decimal, plain);
const written = (value: bigint) => `${value}e-${unit}`;

describe('points by steps', () => {
  it('are start + i * step exactly, to the end if it is met', () => {
    fc.assert(
      fc.property(
        anyDecimal,
        anyDecimal,
        fc.integer({ min: 0, max: 40 }),
        fc.integer({ min: 0, max: 999 }),
        (from, by, n, part) => {
          const [start, step] = [exact(from), exact(by)];
          fc.pre(step !== 0n);
          const end = start + BigInt(n) * step + (step * BigInt(part)) / 1000n;
          const texts = points(
            sweepBySteps(
              { start: decimalOf(from)!, end: { unscaled: end, scale: unit }, isInteger: false },
              decimalOf(by)!,
            ),
          );
          expect(texts.map(exact)).toEqual(Array.from({ length: n + 1 }, (_, i) => start + BigInt(i) * step));
          expect(new Set(texts).size).toBe(n + 1);
          if (part === 0) expect(exact(texts.at(-1)!)).toBe(end);
        },
      ),
    );
  });

  it.each([
    ['0', '1', '0.1', ['0', '0.1', '0.2', '0.3', '0.4', '0.5', '0.6', '0.7', '0.8', '0.9', '1']],
    ['-0.3', '0.3', '0.1', ['-0.3', '-0.2', '-0.1', '0', '0.1', '0.2', '0.3']],
    [
      '1420405751.766',
      '1420405751.77',
      '0.001',
      ['1420405751.766', '1420405751.767', '1420405751.768', '1420405751.769', '1420405751.77'],
    ],
    ['2460000.5', '2460000.500003', '1e-06', ['2460000.5', '2460000.500001', '2460000.500002', '2460000.500003']],
    ['1700000000.25', '1700000001', '0.25', ['1700000000.25', '1700000000.5', '1700000000.75', '1700000001']],
    [
      '1700000000000000000',
      '1700000000000003072',
      '1024',
      ['1700000000000000000', '1700000000000001024', '1700000000000002048', '1700000000000003072'],
    ],
    ['9007199254740992', '9007199254740994', '1', ['9007199254740992', '9007199254740993', '9007199254740994']],
    ['1e-05', '3e-05', '1e-05', ['1e-05', '2e-05', '3e-05']],
    ['0', '2e-07', '1e-07', ['0', '1e-07', '2e-07']],
    ['1', '-1', '-0.5', ['1', '0.5', '0', '-0.5', '-1']],
    ['-0.0', '0', '1', ['0']],
    ['1e16', '3e16', '1e16', ['10000000000000000', '20000000000000000', '30000000000000000']],
  ])('from %s to %s by %s', (start, end, step, expected) => {
    expect(bySteps(start, end, step)).toEqual(expected);
  });

  it('meet the end that was meant, where a step is written with as many digits as fit', () => {
    expect(bySteps('0', '1', '0.3333333333333333')).toEqual(['0', '0.3333333333333333', '0.6666666666666666', '1']);
    expect(bySteps('0', '1', '0.33333333333333337')).toEqual(['0', '0.33333333333333337', '0.66666666666666674', '1']);
    expect(bySteps('0', '1', '0.3333')).toEqual(['0', '0.3333', '0.6666', '0.9999']);
    expect(bySteps('5', '5.0000000001', '1')).toEqual(['5']);
  });
});

describe('points by number', () => {
  it('have both ends, and all between evenly apart', () => {
    fc.assert(
      fc.property(anyDecimal, anyDecimal, fc.integer({ min: 2, max: 60 }), (from, to, count) => {
        const [start, end] = [exact(from), exact(to)];
        fc.pre(start !== end);
        const texts = points(sweepByNumber({ start: decimalOf(from)!, end: decimalOf(to)!, isInteger: false }, count));
        expect(texts).toHaveLength(count);
        expect([texts[0], texts.at(-1)].map((text) => exact(text!))).toEqual([start, end]);
        const parts = BigInt(count - 1);
        for (const [i, text] of texts.entries()) {
          const deviation = magnitude(exact(text) * parts - (start * parts + (end - start) * BigInt(i)));
          expect(deviation * 1_000_000n <= magnitude(end - start)).toBe(true);
        }
      }),
    );
  });

  it.each([
    ['0', '1', 4, ['0', '0.3333333333333333', '0.6666666666666667', '1']],
    ['-1', '1', 4, ['-1', '-0.3333333333333333', '0.3333333333333333', '1']],
    [
      '-1',
      '1',
      7,
      ['-1', '-0.6666666666666667', '-0.3333333333333333', '0', '0.3333333333333333', '0.6666666666666667', '1'],
    ],
    ['0', '1', 5, ['0', '0.25', '0.5', '0.75', '1']],
    ['2460000.5', '2460000.500003', 4, ['2460000.5', '2460000.500001', '2460000.500002', '2460000.500003']],
    ['9007199254740992', '9007199254740994', 3, ['9007199254740992', '9007199254740993', '9007199254740994']],
    ['1e300', '3e300', 3, ['1e+300', '2e+300', '3e+300']],
    ['7', '9', 1, ['7']],
  ])('from %s to %s, %i of them', (start, end, number, expected) => {
    expect(byNumber(start, end, number)).toEqual(expected);
  });
});

it('plans that are stored already make what they made', () => {
  expect(points({ start: 0, step: 0.1, count: 4 })).toEqual(['0', '0.1', '0.2', '0.3']);
  expect(points({ start: 1234567890123, step: 1, count: 2 })).toEqual(['1234567890123', '1234567890124']);
  expect(points({ start: -1, step: 1 / 3, count: 2 })).toEqual(['-1', '-0.666666666667']);
});

it('no point is longer than is told', () => {
  fc.assert(
    fc.property(anyDecimal, anyDecimal, fc.integer({ min: 2, max: 20 }), (from, to, count) => {
      fc.pre(exact(from) !== exact(to));
      const sweep = sweepByNumber(range(from, to), count);
      for (const text of points(sweep)) expect(text.length).toBeLessThanOrEqual(longestPoint(sweep));
      const distance = exact(to) - exact(from);
      const stepped = sweepBySteps(range(from, to), decimalOf(written(distance / 7n))!);
      for (const text of points(stepped)) expect(text.length).toBeLessThanOrEqual(longestPoint(stepped));
    }),
  );
});

it('a hundred thousand points are made soon', () => {
  for (const sweep of [
    sweepBySteps(range('0', '1000'), decimalOf('0.001')!),
    sweepByNumber(range('0', '1'), 1_000_000),
    sweepBySteps(range('1700000000000000000', '1700000000001000000'), decimalOf('1')!),
  ]) {
    const began = process.cpuUsage();
    for (let i = 0; i < 100_000; i += 1) sweptValue(sweep, i);
    expect(process.cpuUsage(began).user).toBeLessThan(2e6);
  }
});
