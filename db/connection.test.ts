import { expect, test } from 'vitest';
import { isUnavailable, isUnstorable } from './connection.ts';

const failed = (code: string) => new Error('Failed query', { cause: Object.assign(new Error('no'), { code }) });

test.each([
  ['22021', 'a NUL character'],
  ['54000', 'more than fits into an entry of an index'],
])('%s is about a value: %s', (code) => {
  expect(isUnstorable(failed(code))).toBe(true);
  expect(isUnavailable(failed(code))).toBe(false);
});

test.each(['57014', '53300', 'ECONNREFUSED'])('%s is about the moment', (code) => {
  expect(isUnavailable(failed(code))).toBe(true);
  expect(isUnstorable(failed(code))).toBe(false);
});
