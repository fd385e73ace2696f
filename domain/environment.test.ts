import fc from 'fast-check';
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

test('of several folders that a path is below, the first in the list counts (property)', () => {
  const folder = fc
    .array(fc.constantFrom('a', 'b', 'ab', 'é'), { minLength: 1, maxLength: 4 })
    .map((parts) => `/${parts.join('/')}`);
  fc.assert(
    fc.property(fc.array(folder, { maxLength: 8 }), folder, (targets, path) => {
      const mounts = targets.map((target, i) => ({
        url: 'x',
        executable: false,
        mountpoint: { source: `s${i}`, target },
      }));
      const first = targets.findIndex((target) => path.startsWith(`${target}/`));
      const expected = first < 0 ? undefined : `s${first}${path.slice(targets[first]!.length)}`;
      expect(scratchFiles(mounts)(path)).toBe(expected);
    }),
  );
});
