/**
 * JSON whose numbers keep their digits. A double changes some: 9007199254740993 becomes another number, and 2.0 the same
 * as 2. Here such a number is a string of NUL and the digits, which no user's string can be. What may be a description
 * is read and written this way; all else that is done with it sees strings, which every copy keeps.
 *
 * JSON.parse does the parsing, so that documents of any size and depth cost what they cost it.
 */

const mark = '\0';

/** What JSON.parse gives, but for numbers that a double would change. @throws SyntaxError */
export function parseExactJson(text: string): unknown {
  const plain: unknown = JSON.parse(text);
  return mayChange.test(text) ? JSON.parse(marked(text)) : plain;
}

/** What JSON.stringify gives, with the digits of numbers that were read. */
export function exactJson(value: unknown): string {
  const text = JSON.stringify(value);
  // Before a quote that opens or ends a string, one backslash: of a user's own there would be two.
  return text.includes('"\\u0000') ? text.replace(/"\\u0000([^"]*)"/g, '$1') : text;
}

/** A number that is kept as it is written. @param digits as JSON has them */
export const writtenNumber = (digits: string): string => mark + digits;

/** The digits, as JSON has them, of what is a number in a document: undefined for all that is none. */
export function digitsOf(value: unknown): string | undefined {
  if (typeof value === 'number') return String(value);
  return isWrittenNumber(value) ? value.slice(mark.length) : undefined;
}

export const isWrittenNumber = (value: unknown): value is string => typeof value === 'string' && value.startsWith(mark);

/**
 * Whether there may be such a number, told in a moment: they have a zero behind all else or an exponent, are negative
 * zero or tiny, or have more digits than any double keeps.
 */
const mayChange = /(?:^|[:,[\s])-?(?:(?<=-)0|0\.0{6}|\d+(?:\.\d*0\b|[\d.]{15}|[\d.]*[eE]))/;

/** Numbers of a valid text, and what looks like them in strings. Short whole ones are passed over: there may be millions. */
const numbers = /(?<![\d.eE+-])-?(?![1-9]\d{0,14}[,\]}\s])\d[\d.eE+-]*/g;

/** Of a valid text, which is gone through once. */
function marked(document: string): string {
  const text = withoutNul(document);
  const parts: string[] = [];
  let copied = 0;
  let string = stringFrom(text, 0);
  const number = new RegExp(numbers);
  for (let found = number.exec(text); found;) {
    if (found.index < string.begin) {
      const [digits] = found;
      if (isChanged(digits)) {
        parts.push(text.slice(copied, found.index), `"\\u0000${digits}"`);
        copied = number.lastIndex;
      }
      found = number.exec(text);
    } else {
      if (found.index < string.end) {
        number.lastIndex = string.end;
        found = number.exec(text);
      }
      string = stringFrom(text, string.end);
    }
  }
  return parts.join('') + text.slice(copied);
}

/** The next string of a valid text. */
function stringFrom(text: string, from: number): { begin: number; end: number } {
  const begin = text.indexOf('"', from);
  if (begin === -1) return { begin: text.length, end: text.length };
  let quote = text.indexOf('"', begin + 1);
  while (isEscaped(text, quote)) quote = text.indexOf('"', quote + 1);
  return { begin, end: quote + 1 };
}

function isEscaped(text: string, at: number): boolean {
  let backslashes = 0;
  while (text[at - 1 - backslashes] === '\\') backslashes += 1;
  return backslashes % 2 === 1;
}

/** NUL in strings, which would look like a mark, becomes what can't be stored either: half a character. */
const withoutNul = (text: string): string =>
  text.includes('\\u0000') ? text.replace(/(?<!\\)((?:\\\\)*)\\u0000/g, '$1\\ud800') : text;

/** What is beyond all bounds stays so, except for whole numbers, which have none. */
function isChanged(digits: string): boolean {
  const value = Number(digits);
  return String(value) !== digits && (Number.isFinite(value) || isInteger(digits));
}

export const isInteger = (digits: string): boolean => /^-?\d+$/.test(digits);
