import { expect, it } from 'vitest';
import { unpackRule } from './unpack-rule.ts';

it.each([
  ['a.tgz', { rule: 'tgz' }],
  ['a.tar.gz', { rule: 'tgz' }],
  ['a.tar', { rule: 'tar' }],
  ['a.csv.gz', { rule: 'gz', unpackedName: 'a.csv' }],
  ['a.tar.bz2', { rule: 'tbz' }],
  ['a.bz2', { rule: 'bz2', unpackedName: 'a' }],
  ['a.zip', { rule: 'zip' }],
  ['a.tar.xz', { rule: 'none' }],
  ['a.txt', { rule: 'none' }],
  ['.gz', { rule: 'none' }],
  ['...gz', { rule: 'none' }],
])('unpacks %s by its suffix', (filename, rule) => {
  expect(unpackRule(filename)).toEqual(rule);
});
