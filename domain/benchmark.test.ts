import { describe, expect, it } from 'vitest';
import { benchmarkExitCode } from './benchmark.ts';

describe('benchmarkExitCode', () => {
  it.each([
    [undefined, 1, 0],
    ['', 1, 0],
    ['exit 0', 1, 0],
    ['exit 3', 7, 3],
    ['exit 2 before attempt 3', 2, 2],
    ['exit 2 before attempt 3', 3, 0],
    ['exit 256', 1, 0],
    ['/bin/true', 1, 127],
    ['exit 1; echo', 1, 127],
  ])('%s on attempt %d is %d', (cmd, attempt, code) => {
    expect(benchmarkExitCode(cmd, attempt)).toBe(code);
  });
});
