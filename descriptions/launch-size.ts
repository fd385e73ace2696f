/**
 * How much a task may bring to its start: what Linux passes to a program (execve(2)), and what Apptainer passes from one
 * part of itself to the next. Whatever is more could only fail on its machine, in words that nobody understands.
 */
import { shortened } from './issues.ts';

/** Of one variable with its name, and of one word of a command. Linux takes 131,071; some of it is for names of ours. */
export const mostTextBytes = 131_000;

/** Of all variables and words of a task together, as Apptainer writes them down: it takes 1,048,448, with all it has to say. */
export const mostLaunchBytes = 1_000_000;

/** What a task gets from us beside what it asks for. */
export const ownLaunchBytes = 16_000;

export interface TextSize {
  bytes: number;
  /** In JSON, as Go writes it. */
  written: number;
}

export function sizeOfText(text: string): TextSize {
  const bytes = Buffer.byteLength(text);
  let written = bytes;
  for (let at = 0; at < text.length; at += 1) written += escapes(text.charCodeAt(at));
  return { bytes, written };
}

/** How many bytes more than one character takes. */
function escapes(code: number): number {
  if (code === 0x22 || code === 0x5c || code === 0x0a || code === 0x0d || code === 0x09) return 1;
  if (code < 0x20 || code === 0x3c || code === 0x3e || code === 0x26) return 5;
  return code === 0x2028 || code === 0x2029 ? 3 : 0;
}

/** Quotes and a comma. */
const around = 3;

export interface LaunchTexts {
  /** As `NAME=value`. */
  variables: { name: string; size: TextSize }[];
  words: TextSize[];
}

/** A sentence for the user, or undefined. */
export function tooLongToLaunch({ variables, words }: LaunchTexts, reserved = 0): string | undefined {
  const variable = variables.find(({ size }) => size.bytes > mostTextBytes);
  if (variable) {
    return (
      `environment variable ${shortened(variable.name)} is too long: with its name and = it must not have more than ` +
      `${mostTextBytes} bytes, and it has ${variable.size.bytes}. Put it into a file (inputs or artifacts)`
    );
  }
  const word = words.find(({ bytes }) => bytes > mostTextBytes);
  if (word) {
    return (
      `a word of cmd is too long: one argument must not have more than ${mostTextBytes} bytes, and it has ${word.bytes}. ` +
      'Put it into a file (inputs or artifacts)'
    );
  }
  const total = [...variables.map(({ size }) => size), ...words].reduce(
    (sum, { written }) => sum + written + around,
    0,
  );
  const most = mostLaunchBytes - reserved;
  if (total <= most) return undefined;
  return (
    `the environment and the command of a task must not come to more than ${most} bytes (3 more for each variable and ` +
    `word, 2 for a quote, a backslash or a line break, 6 for <, > and &), and they have ${total}. Put them into files ` +
    '(inputs or artifacts)'
  );
}
