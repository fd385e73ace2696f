import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { digitsOf, exactJson, isWrittenNumber, parseExactJson } from './exact-json.ts';

const digits = (maxLength: number) => fc.string({ unit: fc.constantFrom(...'00123456789'), minLength: 1, maxLength });
const whole = fc.oneof(
  fc.constant('0'),
  digits(40).map((text) => text.replace(/^0+/, '') || '0'),
);
const optional = (text: fc.Arbitrary<string>) => fc.oneof(fc.constant(''), text);
/** As the grammar of JSON has them, but for those beyond all doubles. */
const number = fc
  .tuple(
    fc.constantFrom('', '-'),
    whole,
    optional(digits(25).map((text) => `.${text}`)),
    optional(
      fc.tuple(fc.constantFrom('e', 'E'), fc.constantFrom('', '+', '-'), digits(2)).map((parts) => parts.join('')),
    ),
  )
  .map((parts) => parts.join(''));
const written = fc.oneof(
  fc.constantFrom('a "b" 2.0', '\\', '\\\\"1.0', '[1.0, -0]', '\u2028', '\\u00001.0'),
  fc.string(),
);
const string = written.filter((text) => !text.includes('\0')).map((text) => JSON.stringify(text));
const space = fc.constantFrom('', '', ' ', '\n\t', '  ');

/** A text, and the same without white space. */
type Texts = { spaced: string; plain: string };
const both = (text: string): Texts => ({ spaced: text, plain: text });
const joined = (open: string, close: string) => (parts: [string, Texts][]) => ({
  spaced: `${open}${parts.map(([blank, part]) => blank + part.spaced + blank).join(',')}${close}`,
  plain: `${open}${parts.map(([, part]) => part.plain).join(',')}${close}`,
});
const { value } = fc.letrec<{ value: Texts }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, depthSize: 'small' },
    number.map(both),
    string.map(both),
    fc.constantFrom('true', 'null').map(both),
    fc.array(fc.tuple(space, tie('value')), { maxLength: 5 }).map(joined('[', ']')),
    fc.uniqueArray(fc.tuple(string, space, tie('value')), { maxLength: 4, selector: ([name]) => name }).map((members) =>
      joined(
        '{',
        '}',
      )(
        members.map(([name, blank, part]) => {
          // Names that are whole numbers would come first.
          const key = `"k${name.slice(1)}`;
          return [blank, { spaced: `${key}${blank}:${blank}${part.spaced}`, plain: `${key}:${part.plain}` }];
        }),
      ),
    ),
  ),
}));

describe('JSON with all digits', () => {
  it('is written as it was read, whatever is in it', () => {
    fc.assert(
      fc.property(value, ({ spaced, plain }) => {
        expect(exactJson(parseExactJson(spaced))).toBe(plain);
      }),
      { numRuns: 3000 },
    );
  });

  it('is what JSON.parse gives, but for numbers that a double would change', () => {
    const doubles = (part: unknown): unknown => {
      if (isWrittenNumber(part)) return Number(digitsOf(part));
      if (Array.isArray(part)) return part.map(doubles);
      if (typeof part !== 'object' || part === null) return part;
      return Object.fromEntries(Object.entries(part).map(([name, member]) => [name, doubles(member)]));
    };
    fc.assert(
      fc.property(value, ({ spaced }) => {
        expect(doubles(parseExactJson(spaced))).toEqual(JSON.parse(spaced));
      }),
    );
  });

  it.each(['2', '-1', '0.1', '1420405751.766', '9007199254740991', '1e+21', '123456789012345'])(
    '%s is a number',
    (text) => {
      expect(parseExactJson(`[${text}]`)).toEqual([Number(text)]);
    },
  );

  it.each(['9007199254740993', '2.0', '1e-07', '1e16', '-0', '-0.0', '0.10', '0.0000001', '1E5', '9'.repeat(400)])(
    '%s keeps its digits',
    (text) => {
      for (const document of [text, `[${text}]`, `{"a":${text},"b": ${text} }`, `[1,\n${text}]`]) {
        expect(exactJson(parseExactJson(document))).toBe(document.replace(/\s/g, ''));
      }
      expect(digitsOf(parseExactJson(text))).toBe(text);
    },
  );

  it.each(['1e400', '-1e999'])('%s stays beyond all bounds', (text) => {
    expect(parseExactJson(`[${text}, 2.0]`)).toEqual([Number(text), expect.anything()]);
  });

  it.each(['01', '1.', '.5', '2.0.0', '1.0-5', '[2.0', '{"a": 1e}', '+1.0', '2.0 2.0', '"\\u00zz 1.0"'])(
    '%s is no JSON',
    (text) => {
      expect(() => parseExactJson(text)).toThrow(SyntaxError);
    },
  );

  it('no string of a user is taken for a number', () => {
    const found = parseExactJson('["\\u00002.0", "\\\\u00002.0", 3.0]') as string[];
    expect(found.map(isWrittenNumber)).toEqual([false, false, true]);
    expect(found[1]).toBe('\\u00002.0');
    expect(exactJson(found.slice(1))).toBe('["\\\\u00002.0",3.0]');
  });

  it('a member may be called __proto__', () => {
    const text = '{"__proto__":{"a":2.0},"constructor":1.0}';
    expect(exactJson(parseExactJson(text))).toBe(text);
    expect(Object.getPrototypeOf(parseExactJson(text))).toBe(Object.prototype);
  });

  it.each([
    ['long strings', JSON.stringify(['"\\1.0'.repeat(2_000_000), '1'.repeat(4_000_000)]).replace(']', ', 2.0]')],
    ['many numbers', `[${'1.50, 7, '.repeat(1_000_000)}2.0]`],
    ['deep nesting', `${'['.repeat(1_000_000)}2.0${']'.repeat(1_000_000)}`],
    ['long numbers', `[${'1'.repeat(4_000_000)}, 0.${'12'.repeat(2_000_000)}, 2.0]`],
  ])('takes little time with %s', (_what, text) => {
    const began = process.cpuUsage();
    parseExactJson(text);
    expect(process.cpuUsage(began).user).toBeLessThan(4e6);
  });
});
