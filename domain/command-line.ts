/**
 * Splits a command into words (docs/wire.md 7.1) exactly as Python's `shlex.split` does, which upstream runs commands
 * with, in time and memory in proportion to the text. The npm package shlex does neither: at each closing `"` it goes
 * through the whole word so far again (measured: 240 KB took 5 s), which also eats backslashes of parts in single
 * quotes, and it reads `$'..'` and `$".."` as bash does.
 */

/** @throws Error in Python's words, for a text that ends between quotes or after a backslash */
export function splitCommandLine(line: string): string[] {
  const words: string[] = [];
  /** Pieces of the word that has begun, none for an empty one in quotes. Undefined: between two words. */
  let word: string[] | undefined;
  let quote: '"' | "'" | undefined;
  for (let at = 0; at < line.length;) {
    const end = nextSpecial(line, at, quote);
    if (end > at) {
      (word ??= []).push(line.slice(at, end));
      at = end;
      continue;
    }
    const char = line[at]!;
    at += 1;
    if (char === '\\') {
      const escaped = line[at];
      if (escaped === undefined) throw new Error('No escaped character');
      at += 1;
      // Between quotes a backslash is one of the characters, unless it stands before another or a quote.
      if (quote && escaped !== '\\' && escaped !== quote) (word ??= []).push(char);
      (word ??= []).push(escaped);
    } else if (quote) {
      quote = undefined;
    } else if (char === '"' || char === "'") {
      quote = char;
      word ??= [];
    } else if (word) {
      words.push(word.join(''));
      word = undefined;
    }
  }
  if (quote) throw new Error('No closing quotation');
  if (word) words.push(word.join(''));
  return words;
}

/** Where the next character stands that means something, outside of quotes or between them; else the end. */
function nextSpecial(line: string, from: number, quote: '"' | "'" | undefined): number {
  let at = from;
  while (at < line.length && !isSpecial(line[at]!, quote)) at += 1;
  return at;
}

function isSpecial(char: string, quote: '"' | "'" | undefined): boolean {
  switch (quote) {
    case "'":
      return char === quote;
    case '"':
      return char === quote || char === '\\';
    case undefined:
      return ' \t\r\n\'"\\'.includes(char);
  }
}
