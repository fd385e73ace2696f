import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { curlConfigValue, shellCommand, shellQuote } from './quoting.ts';

it('gives a shell back exactly what was quoted', () => {
  const text = fc.string({ unit: 'grapheme' }).filter((value) => !value.includes('\0'));
  fc.assert(
    fc.property(fc.array(text, { minLength: 1, maxLength: 20 }), (values) => {
      const script = values.map((value) => `printf '%s\\0' ${shellQuote(value)}`).join('\n');
      expect(execFileSync('sh', ['-c', script]).toString()).toBe(values.map((value) => `${value}\0`).join(''));
    }),
    { numRuns: 20 },
  );
});

it('passes arguments through two shells', () => {
  const command = shellCommand('printf "<%s>" "$@"', ["it's", '$(id)', '']);
  expect(execFileSync('sh', ['-c', command]).toString()).toBe("<it's><$(id)><>");
});

it('quotes a URL for curl and refuses line breaks, which would start another option', () => {
  expect(curlConfigValue('http://h/a"b\\c')).toBe('"http://h/a\\"b\\\\c"');
  expect(() => curlConfigValue('http://h/\noutput = "/etc/x"')).toThrow('line breaks');
});
