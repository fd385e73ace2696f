/**
 * The points of a sweep, by exact decimal arithmetic over the numbers as they were written: no two are the same, and both
 * ends are met (docs/wire.md 4.3). Any one can be told without the others.
 */
import { decimalText, type Decimal } from './number-text.ts';
import { numberValue, type ParameterValue } from './parameters.ts';

/** `count` points. Point i is `(start + span * i / parts) / 10 ** scale`, and the last one may be put right. */
export interface DecimalSweep {
  count: number;
  scale: number;
  /** Whole numbers of any size, as digits. */
  start: string;
  span: string;
  parts: number;
  /** The end, where so many steps come to almost that. */
  last?: string;
  /** Start, end and step are written as integers. */
  isInteger: boolean;
}

/** As plans of earlier workflows have it: `count` values from `start`, `step` apart, in doubles. */
export interface BinarySweep {
  start: number;
  step: number;
  count: number;
}

export type Sweep = DecimalSweep | BinarySweep;

/** @param index from 0 */
export function sweptValue(sweep: Sweep, index: number): ParameterValue {
  if (typeof sweep.start === 'number') return roundedValue(sweep as BinarySweep, index);
  return quickValue(sweep as DecimalSweep, index) ?? exactValue(sweep as DecimalSweep, index);
}

/** To 12 significant digits. */
function roundedValue({ start, step }: BinarySweep, index: number): number {
  const value = start + index * step;
  return Number.isSafeInteger(value) ? value : Number(value.toPrecision(12));
}

/** A double keeps any decimal of so many digits. */
const exactInDoubles = 1e15;
/** And this is the largest power of ten that is one. */
const largestPower = 22;

/** The same for most sweeps, of which there may be a million points. Undefined where doubles do not do. */
function quickValue({ count, scale, start, span, parts, last }: DecimalSweep, index: number): number | undefined {
  if (parts !== 1 || scale > largestPower) return undefined;
  const [from, step] = [Number(start), Number(span)];
  if (!(Math.abs(from) + Math.abs(step) * count < exactInDoubles)) return undefined;
  const unscaled = last !== undefined && index === count - 1 ? Number(last) : from + step * index;
  const value = unscaled / Number(`1e${scale}`);
  // Below it is written with an exponent.
  return value === 0 ? 0 : Math.abs(value) >= 1e-4 ? value : undefined;
}

function exactValue(sweep: DecimalSweep, index: number): ParameterValue {
  return numberValue(decimalText({ unscaled: unscaledValue(sweep, index), scale: sweep.scale }, sweep.isInteger));
}

function unscaledValue({ count, start, span, parts, last }: DecimalSweep, index: number): bigint {
  if (last !== undefined && index === count - 1) return BigInt(last);
  return rounded(BigInt(start) * BigInt(parts) + BigInt(span) * BigInt(index), BigInt(parts));
}

/** Halves away from zero, so that a sweep through zero is the same on both sides. */
function rounded(numerator: bigint, denominator: bigint): bigint {
  const half = denominator / 2n;
  return (numerator < 0n ? numerator - half : numerator + half) / denominator;
}

/** A sign, a point and an exponent. */
const aroundDigits = 8;

/** At most as many characters as any of its points has. */
export function longestPoint(sweep: Sweep): number {
  if (typeof sweep.start === 'number') return 0;
  const { count, scale, start, span } = sweep as DecimalSweep;
  return Math.max(start.length, span.length + String(count).length, scale + 1) + aroundDigits;
}

export interface Range {
  start: Decimal;
  end: Decimal;
  isInteger: boolean;
}

export function leadsAway({ start, end }: Range, step: Decimal): boolean {
  const scale = Math.max(start.scale, end.scale);
  const distance = atScale(end, scale) - atScale(start, scale);
  return distance !== 0n && distance > 0n !== step.unscaled > 0n;
}

/** So near to it, in steps, the end is meant. */
const perTolerance = 10n ** 9n;

/** Points from `start` on, `step` apart, to the end. The step is not 0 and does not lead away from the end. */
export function sweepBySteps({ start, end, isInteger }: Range, step: Decimal): DecimalSweep {
  const scale = Math.max(start.scale, end.scale, step.scale);
  const [from, to, by] = [start, end, step].map((each) => atScale(each, scale)) as [bigint, bigint, bigint];
  const [distance, length] = [magnitude(to - from), magnitude(by)];
  const steps = (distance * perTolerance + length) / (length * perTolerance);
  const rest = magnitude(distance - steps * length);
  const isAlmostMet = steps > 0n && rest > 0n && rest * perTolerance <= length;
  return {
    count: Number(steps) + 1,
    scale,
    start: String(from),
    span: String(by),
    parts: 1,
    ...(isAlmostMet ? { last: String(to) } : {}),
    isInteger,
  };
}

/** As many digits of the largest value as doubles hold, and so many of the distance between two points. */
const digitsOfLargest = 17;
const digitsOfStep = 7;

/**
 * So many points, both ends among them. Where their distance has no end of digits, they are rounded, all at the same
 * place behind the point.
 */
export function sweepByNumber({ start, end, isInteger }: Range, count: number): DecimalSweep {
  const written = Math.max(start.scale, end.scale);
  const single = { count, scale: written, start: String(atScale(start, written)), span: '0', parts: 1, isInteger };
  if (count === 1) return single;
  const parts = BigInt(count - 1);
  const [from, to] = [atScale(start, written), atScale(end, written)];
  const exponent = (unscaled: bigint) => String(magnitude(unscaled)).length - 1 - written;
  const largest = exponent(magnitude(from) > magnitude(to) ? from : to);
  const ofStep = exponent(to - from) - String(parts).length;
  const scale = Math.max(written, digitsOfLargest - 1 - largest, digitsOfStep - 1 - ofStep);
  const [first, span] = [from, to - from].map((unscaled) => unscaled * 10n ** BigInt(scale - written)) as [
    bigint,
    bigint,
  ];
  if (span % parts !== 0n) {
    return { ...single, scale, start: String(first), span: String(span), parts: count - 1 };
  }
  return { ...single, ...shortest(first, span / parts, scale) };
}

/** The same with as few digits as it takes. */
function shortest(start: bigint, span: bigint, scale: number): Pick<DecimalSweep, 'start' | 'span' | 'scale'> {
  while (scale > 0 && start % 10n === 0n && span % 10n === 0n) {
    start /= 10n;
    span /= 10n;
    scale -= 1;
  }
  return { start: String(start), span: String(span), scale };
}

const atScale = ({ unscaled, scale }: Decimal, wanted: number): bigint => unscaled * 10n ** BigInt(wanted - scale);

const magnitude = (value: bigint): bigint => (value < 0n ? -value : value);
