import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { splitCommandLine } from './command-line.ts';

/** A word as Python's `shlex.quote` writes it. */
const quoted = (word: string) => `'${word.replaceAll("'", `'"'"'`)}'`;
const escaped = (word: string) => `"${word.replace(/["\\]/g, '\\$&')}"`;

const text = fc.string({ unit: fc.constantFrom('a', 'é', '😀', '"', "'", '\\', ' ', '\n', '\t', '$', '#', '|') });
const blank = fc.string({ unit: fc.constantFrom(' ', '\t', '\r', '\n'), minLength: 1 });

describe('the words of a command', () => {
  it.each([
    ['', []],
    [' \t\r\n', []],
    ['echo a  b', ['echo', 'a', 'b']],
    [`''`, ['']],
    [`a '' ""`, ['a', '', '']],
    [`a"b c"'d e'f`, ['ab cd ef']],
    ['a\\ b \\"', ['a b', '"']],
    ['a\\\nb', ['a\nb']],
    [`"\\a \\" \\\\ \\' \\$"`, [`\\a " \\ \\' \\$`]],
    [`'\\' \\'`, ['\\', "'"]],
    // What the package got wrong.
    [`'a\\\\b'"c"`, ['a\\\\bc']],
    [`$'a\\n' $"b"`, ['$a\\n', '$b']],
    ['a # b', ['a', '#', 'b']],
    ['a\u00a0b\vc', ['a\u00a0b\vc']],
  ])('of %j', (line, words) => {
    expect(splitCommandLine(line)).toEqual(words);
  });

  it.each([
    ['a "b', 'No closing quotation'],
    [`a 'b\\`, 'No closing quotation'],
    ['a\\', 'No escaped character'],
    ['"a\\', 'No escaped character'],
  ])('are none in %j', (line, message) => {
    expect(() => splitCommandLine(line)).toThrow(message);
  });

  it('are those that were quoted, however', () => {
    const words = fc.array(fc.tuple(text, fc.constantFrom(quoted, escaped), blank), { maxLength: 6 });
    fc.assert(
      fc.property(words, (given) => {
        const line = given.map(([word, quote, gap]) => quote(word) + gap).join('');
        expect(splitCommandLine(line)).toEqual(given.map(([word]) => word));
      }),
    );
  });

  it('are all characters that mean nothing', () => {
    const plain = fc.string({ unit: 'binary' }).filter((word) => !/[ \t\r\n'"\\]/.test(word) && word !== '');
    fc.assert(
      fc.property(fc.array(plain), (words) => {
        expect(splitCommandLine(words.join(' '))).toEqual(words);
      }),
    );
  });

  it.each(['"a"', "'a'", '\\a', '"\\a"', '""', 'a'])(
    'take no more than their time when there are millions of %s',
    (part) => {
      const begin = performance.now();
      splitCommandLine(part.repeat(2_000_000));
      // It is a second; where time grows with the square, it is hours.
      expect(performance.now() - begin).toBeLessThan(10_000);
    },
  );
});
