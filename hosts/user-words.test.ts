import { expect, test } from 'vitest';
import { userWords } from './user-words.ts';

const run = '/var/lib/prominence/runs/local-17.1.0';

test.each([
  [`tar: ${run}/home/d/y: Cannot open: Permission denied`, 'tar: /home/user/d/y: Cannot open: Permission denied'],
  [`mv: cannot stat '${run}/tmp/x'`, "mv: cannot stat '/tmp/x'"],
  [
    "mkdir: cannot create directory 'runs/t-1.1.0': No space left",
    "mkdir: cannot create directory 'the folder of the run': No space left",
  ],
  [
    `dd: failed to open '${run}/packed.123': No space left on device`,
    "dd: failed to open 'the file': No space left on device",
  ],
  [
    'unzip:  cannot find zipfile directory in one of runs/t-1.1.0/staged/work.5.file or runs/t-1.1.0/staged/work.5.file.zip, and cannot find runs/t-1.1.0/staged/work.5.file.ZIP, period.',
    'unzip:  cannot find zipfile directory in one of the file or the file, and cannot find the file, period.',
  ],
  [
    'sh: lib/0123456789abcdef/stage-in.sh: line 12: cannot create runs/t-1.1.0/prepared: Read-only',
    'cannot create the folder of the run: Read-only',
  ],
  ['lib/0123456789abcdef/stage-out.sh: 12: cannot fork', 'cannot fork'],
  ['the server answered 404', 'the server answered 404'],
  ['runs/of/mine and lib/x.sh', 'runs/of/mine and lib/x.sh'],
  ['curl: (7) no\ncurl: (7) no\ncurl: (7) no', 'curl: (7) no'],
])('%s', (words, told) => {
  expect(userWords(words)).toBe(told);
  expect(userWords(told)).toBe(told);
});
