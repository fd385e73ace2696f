/** The words of commands against those of Python itself, which the rules were written down from. */
import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { splitCommandLine } from '../../../domain/command-line.ts';

const program = `
import json, shlex, sys
def split(line):
    try:
        return shlex.split(line, posix=True)
    except ValueError as error:
        return str(error)
print(json.dumps([split(line) for line in json.load(sys.stdin)]))
`;

function ours(line: string): string[] | string {
  try {
    return splitCommandLine(line);
  } catch (error) {
    return (error as Error).message;
  }
}

describe('a command', () => {
  it('has the words that Python finds in it', () => {
    const unit = fc.constantFrom('"', "'", '\\', ' ', '\t', '\r', '\n', '$', '#', '`', 'a', 'é', '\u00a0', '😀');
    const lines = fc.sample(fc.string({ unit, maxLength: 14 }), 2000);
    const answer = execFileSync('python3', ['-c', program], { input: JSON.stringify(lines), encoding: 'utf8' });
    const theirs = JSON.parse(answer) as (string[] | string)[];
    expect(lines.map((line) => [line, ours(line)])).toEqual(lines.map((line, i) => [line, theirs[i]]));
  });
});
