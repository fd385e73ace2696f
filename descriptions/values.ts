/** The kinds of values a description is made of, each with the words that tell a wrong one (docs/wire.md 3). */
import * as v from 'valibot';

/** Upstream's idea of an integer: the number's text is digits only, so negative ones, booleans and strings are none. */
export function isWhole(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0;
}

export function wholeNumber(notInteger: string): v.GenericSchema<unknown, number> {
  return v.custom<number>(isWhole, notInteger);
}

export function count(notInteger: string, tooSmall: string): v.GenericSchema<unknown, number> {
  return v.pipe(v.custom<number>(isWhole, notInteger), v.minValue(1, tooSmall));
}

/** Fractions are accepted, which upstream's server did not do although its client sends them. */
export function gigabytes(notNumber: string, tooSmall: string): v.GenericSchema<unknown, number> {
  const isSize = (value: unknown) => typeof value === 'number' && Number.isFinite(value) && value >= 0;
  return v.pipe(v.custom<number>(isSize, notNumber), v.minValue(1, tooSmall));
}

/** From 1 to `most`; upstream says "less than" and means "at most", and has one place with two names. */
export function limited(what: string, most: number, whatType = what): v.GenericSchema<unknown, number> {
  return v.pipe(
    v.custom<number>(isWhole, `the ${whatType} must be an integer`),
    v.minValue(1, `the ${what} must be greater than 0`),
    v.maxValue(most, `the ${what} must be less than ${most}`),
  );
}

export const text = (message: string): v.GenericSchema<unknown, string> => v.string(message);

/** 64 hexadecimal digits, in small letters as they are compared. */
export const sha256 = (name: string): v.GenericSchema<unknown, string> =>
  v.pipe(
    text(`${name} must be a string`),
    v.regex(/^[0-9a-f]{64}$/i, `${name} must be a SHA-256, which is 64 hexadecimal digits`),
    v.toLowerCase(),
  );

export const flag = (name: string): v.GenericSchema<unknown, boolean> =>
  v.boolean(`${name} must be either true or false`);

/** Two numbers; what the numbers are is judged by `range`. */
export const pair = (message: string): v.GenericSchema<unknown, [unknown, unknown]> =>
  v.custom<[unknown, unknown]>((value) => Array.isArray(value) && value.length === 2, message);

export const strings = (notList: string, notStrings: string): v.GenericSchema<unknown, string[]> =>
  v.pipe(
    v.custom<unknown[]>(Array.isArray, notList),
    v.check((list) => list.every((entry) => typeof entry === 'string'), notStrings),
    v.transform((list) => list as string[]),
  );

/** Characters as upstream counts them. */
export const lengthOf = (value: string): number => {
  let length = 0;
  for (const _ of value) length += 1;
  return length;
};

export const longestName = 512;
