import { describe, expect, it } from 'vitest';
import { countTests, lastLine } from './count.ts';

describe('counting tests', () => {
  it('takes what ran', () => {
    const report = {
      numPassedTests: 7,
      numFailedTests: 1,
      testResults: [{ status: 'failed', assertionResults: [{ status: 'passed' }, { status: 'failed' }] }],
    };
    expect(lastLine(countTests(report))).toBe('7 passed, 1 failed');
  });
  it('counts a file that could not be loaded as a failure', () => {
    const report = {
      numPassedTests: 7,
      numFailedTests: 0,
      testResults: [{ status: 'failed', assertionResults: [] }],
    };
    expect(countTests(report)).toEqual({ passed: 7, failed: 1 });
  });
});
