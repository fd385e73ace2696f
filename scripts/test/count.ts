/** How a test run went, from vitest's JSON report. */

export interface VitestReport {
  numPassedTests: number;
  numFailedTests: number;
  testResults: { status: string; assertionResults: { status: string }[] }[];
}

export interface TestCounts {
  passed: number;
  failed: number;
}

/** A file that failed without a failed test (it could not be loaded, or its set-up broke) counts as one failure. */
export function countTests(report: VitestReport): TestCounts {
  const brokenFiles = report.testResults.filter(
    (file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
  );
  return { passed: report.numPassedTests, failed: report.numFailedTests + brokenFiles.length };
}

export function lastLine({ passed, failed }: TestCounts): string {
  return `${passed} passed, ${failed} failed`;
}
