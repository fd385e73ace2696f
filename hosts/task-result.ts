/** What a supervisor leaves in `exit.json`, as the domain's words. The format outlives our processes: only add to it. */
import type { TaskResult } from '../domain/execution.ts';

interface ExitRecord {
  exitCode: number;
  cause: TaskResult['cause'];
  startedAt: number;
  /** Seconds since boot at start and end: a clock that is set does not change how long a task ran. */
  uptimes: [number, number];
  /** The second line of `times`: user and system time of everything that ran, e.g. `0m0.040s 0m1.500s`. */
  cpu: string;
  maxResidentSetSizeKb: number;
  /** How many it might have had. */
  mostProcesses?: number;
}

/** @throws SyntaxError for what is not JSON, e.g. a file that a power loss cut short */
export function parseTaskResult(text: string): TaskResult {
  const record = JSON.parse(text) as ExitRecord;
  const seconds = Math.max(0, record.uptimes[1] - record.uptimes[0]);
  return {
    exitCode: record.exitCode,
    cause: record.cause,
    startedAt: record.startedAt,
    endedAt: record.startedAt + seconds,
    cpuSeconds: cpuSeconds(record.cpu),
    maxResidentSetSizeKb: record.maxResidentSetSizeKb,
    ...(record.cause === 'processes' && record.mostProcesses ? { mostProcesses: record.mostProcesses } : {}),
  };
}

function cpuSeconds(times: string): number {
  const total = times
    .split(' ')
    .map((time) => /^(\d+)m([\d.]+)s$/.exec(time))
    .reduce((sum, match) => (match ? sum + Number(match[1]) * 60 + Number(match[2]) : sum), 0);
  return Math.round(total * 1000) / 1000;
}
