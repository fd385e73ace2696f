/**
 * Numbers as Python prints them, since users' programs were written against that: `str()` of what its `json` reads.
 * Whole numbers have as many digits as were written, and never pass through a double.
 */
import { isInteger } from './exact-json.ts';

/** A whole number has no bounds. @param digits as JSON has them */
export const isFiniteNumber = (digits: string): boolean => Number.isFinite(Number(digits)) || isInteger(digits);

/** @param digits as JSON has them; of a finite number */
export function pythonText(digits: string): string {
  if (isInteger(digits)) return digits === '-0' ? '0' : digits;
  return floatText(Number(digits));
}

/** Both languages choose the shortest digits that give the same double; only where they put the point differs. */
function floatText(value: number): string {
  const [mantissa, power] = value.toExponential().split('e') as [string, string];
  const exponent = Number(power);
  if (exponent < -4 || exponent >= 16) return withExponent(mantissa, exponent);
  const text = Object.is(value, -0) ? '-0' : String(value);
  return text.includes('.') ? text : `${text}.0`;
}

/** @param mantissa one digit before its point, if it has one */
function withExponent(mantissa: string, exponent: number): string {
  return `${mantissa}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`;
}

/** A number without binary rounding: `unscaled / 10 ** scale`. */
export interface Decimal {
  unscaled: bigint;
  scale: number;
}

/** Far more than any sweep needs, and few enough to calculate with. */
export const mostDigits = 1000;

/** Undefined: it would have more than `mostDigits` before or behind its point. @param digits as JSON has them */
export function decimalOf(digits: string): Decimal | undefined {
  const [, sign, whole, fraction = '', power = '0'] = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(digits)!;
  if (whole!.length + fraction.length > mostDigits) return undefined;
  const unscaled = BigInt(`${sign}${whole}${fraction}`);
  if (unscaled === 0n) return { unscaled, scale: 0 };
  const scale = fraction.length - Number(power);
  if (Math.abs(scale) > mostDigits) return undefined;
  return scale >= 0 ? { unscaled, scale } : { unscaled: unscaled * 10n ** BigInt(-scale), scale: 0 };
}

/**
 * All digits of it. Without decimals where it is whole, and with an exponent where Python would show one: below 0.0001,
 * and of whole numbers from 1e21 on, unless it is an integer by its kind.
 */
export function decimalText({ unscaled, scale }: Decimal, isIntegerByKind: boolean): string {
  if (unscaled === 0n) return '0';
  const sign = unscaled < 0n ? '-' : '';
  const all = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, '0');
  const point = all.length - scale;
  const end = endWithoutZeros(all);
  const exponent = point - 1 - leadingZeros(all);
  const isShort = end <= point ? isIntegerByKind || exponent < 21 : exponent >= -4;
  if (isShort)
    return end <= point ? sign + all.slice(0, point) : `${sign}${all.slice(0, point)}.${all.slice(point, end)}`;
  const digits = all.slice(leadingZeros(all), end);
  return sign + withExponent(digits.length > 1 ? `${digits[0]}.${digits.slice(1)}` : digits, exponent);
}

// Without expressions: there are millions of points.
function endWithoutZeros(digits: string): number {
  let end = digits.length;
  while (digits[end - 1] === '0') end -= 1;
  return end;
}

function leadingZeros(digits: string): number {
  let zeros = 0;
  while (digits[zeros] === '0') zeros += 1;
  return zeros;
}
