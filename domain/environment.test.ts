import { expect, test } from 'vitest';
import { scratchFiles, scratchOutputs } from './environment.ts';

const artifacts = [{ url: 'x', executable: false, mountpoint: { source: 'data/in', target: '/mnt/data' } }];

test.each([
  ['out.txt', 'out.txt'],
  ['./a//b.txt', 'a/b.txt'],
  ['/home/user/a/b', 'a/b'],
  ['/mnt/data/log', 'data/in/log'],
  ['/mnt/data2/log', undefined],
  ['/etc/passwd', undefined],
  ['a/../../b', undefined],
  ['/home/user/../x', undefined],
  ['/home/user', undefined],
  ['a/', undefined],
  ['', undefined],
  ['..a/b..', '..a/b..'],
])('%j is %j in scratch', (path, expected) => {
  expect(scratchFiles(artifacts)(path)).toBe(expected);
});

test.each([
  ['out*.txt', 'out*.txt'],
  ['plots/', 'plots'],
  ['./plots//', 'plots'],
  ['plots/././', 'plots'],
  ['plots/..', undefined],
  ['plots.', 'plots.'],
  ['.', '.'],
  ['./', '.'],
  ['/home/user', '.'],
  ['/home/user/a/b', 'a/b'],
  ['/mnt/data/log', 'data/in/log'],
  ['run/$x', 'run/$x'],
  ['..', undefined],
  ['../x', undefined],
  ['a/../../b/', undefined],
  ['/', undefined],
  ['/etc/passwd', undefined],
])('as an output %j is %j in scratch', (name, expected) => {
  expect(scratchOutputs(artifacts)(name)).toBe(expected);
});
