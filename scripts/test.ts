/**
 * `npm test [-- vitest's flags]`: makes sure of the parts, runs all tests, and prints as its last line how many passed
 * and failed. Fails when a test fails, and also when none ran.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setUp } from './components/setup.ts';
import { thisMachine } from './machine.ts';
import { countTests, lastLine, type VitestReport } from './test/count.ts';

const machine = thisMachine();
const flags = process.argv.slice(2);

console.log('Making sure of the parts for the tests ...');
const { missing, missingForTests } = await setUp(machine, {
  forTests: true,
  quiet: true,
  say: (line) => console.log(line),
});
if (missing.length > 0) {
  console.log(lastLine({ passed: 0, failed: 0 }));
  process.exit(1);
}
if (missingForTests.length > 0) console.log('The tests that need the missing parts will fail.');

const work = mkdtempSync(join(tmpdir(), 'prominence-test-'));
const report = join(work, 'report.json');
const vitest = spawn(
  process.execPath,
  [
    join(machine.repository, 'node_modules/vitest/vitest.mjs'),
    ...['run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`],
    ...flags,
  ],
  { stdio: 'inherit', cwd: machine.repository },
);
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => vitest.kill(signal));
const code = await new Promise<number>((resolve) => vitest.on('exit', (status) => resolve(status ?? 1)));

const counts = existsSync(report)
  ? countTests(JSON.parse(readFileSync(report, 'utf8')) as VitestReport)
  : { passed: 0, failed: 0 };
rmSync(work, { recursive: true, force: true });
console.log(lastLine(counts));
process.exit(code !== 0 || counts.failed > 0 || counts.passed === 0 ? 1 : 0);
