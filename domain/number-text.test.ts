import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decimalOf, decimalText, pythonText } from './number-text.ts';

describe('a number as Python prints it', () => {
  it.each([
    ['0', '0'],
    ['-0', '0'],
    ['3', '3'],
    ['9007199254740993', '9007199254740993'],
    ['340282366920938463463374607431768211455', '340282366920938463463374607431768211455'],
    ['2.0', '2.0'],
    ['-0.0', '-0.0'],
    ['0.1', '0.1'],
    ['0.10', '0.1'],
    ['1e5', '100000.0'],
    ['1e15', '1000000000000000.0'],
    ['1e16', '1e+16'],
    ['1.5e+300', '1.5e+300'],
    ['12345678901234567.0', '1.2345678901234568e+16'],
    ['0.0001', '0.0001'],
    ['0.00001', '1e-05'],
    ['0.0000125', '1.25e-05'],
    ['1e-07', '1e-07'],
    ['1E-7', '1e-07'],
    ['-2.5e-200', '-2.5e-200'],
    ['5e-324', '5e-324'],
    ['1e-400', '0.0'],
    ['0.30000000000000004', '0.30000000000000004'],
    ['0.1000000000000000055511151231257827', '0.1'],
  ])('%s is %s', (digits, text) => {
    expect(pythonText(digits)).toBe(text);
  });

  it('is the same double again, with a point or an exponent', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        const text = pythonText(value.toExponential());
        expect(Object.is(Number(text), value) || (Object.is(value, -0) && text === '0.0')).toBe(true);
        expect(text).toMatch(/^-?(\d+\.\d+|\d(\.\d+)?e[+-]\d{2,3})$/);
      }),
    );
  });
});

describe('a decimal', () => {
  it.each([
    ['10', '10'],
    ['-0.0', '0'],
    ['1700000001.00', '1700000001'],
    ['1420405751.770', '1420405751.77'],
    ['1e-05', '1e-05'],
    ['-0.000012500', '-1.25e-05'],
    ['0.0001', '0.0001'],
    ['1e20', '100000000000000000000'],
    ['1e22', '1e+22'],
    ['1.25e22', '1.25e+22'],
    ['0.1234567890123456789012', '0.1234567890123456789012'],
  ])('%s is shown as %s', (digits, text) => {
    expect(decimalText(decimalOf(digits)!, false)).toBe(text);
  });

  it('has a bound of digits, and whole ones have all of theirs', () => {
    expect(decimalText(decimalOf('1' + '0'.repeat(30))!, true)).toBe('1' + '0'.repeat(30));
    expect(decimalOf('1e-999999999')).toBeUndefined();
    expect(decimalOf('1e999999999')).toBeUndefined();
    expect(decimalOf('1'.repeat(1001))).toBeUndefined();
    expect(decimalOf('0e999999999')).toEqual({ unscaled: 0n, scale: 0 });
  });
});
