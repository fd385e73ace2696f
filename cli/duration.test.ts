import { describe, expect, it } from 'vitest';
import { parseDuration } from './duration.ts';

describe('a duration', () => {
  it('is a number and its unit, seconds without one', () => {
    expect(['90', '90s', '30m', '12h', '7d'].map(parseDuration)).toEqual([90, 90, 1800, 43_200, 604_800]);
  });
  it.each(['', '0', '0h', '-5m', '1.5h', '1w', '9999999999s'])('is not %j', (text) => {
    expect(() => parseDuration(text)).toThrow('is not a duration');
  });
});
