/** The words of `scripts/watch.sh`: framing and the answer to `list`. */
import type { Readable } from 'node:stream';
import { parseRunToken } from '../domain/runs.ts';
import type { ObservedRun, ObservedTask } from './machine.ts';
import { parseTaskResult } from './task-result.ts';

/** Calls back with the lines of each answer; an answer ends with a line that is a single dot. */
export function frames(stream: Readable, onFrame: (lines: string[]) => void): void {
  let lines: string[] = [];
  let partial: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => {
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      const line = Buffer.concat([...partial, chunk.subarray(start, end)]).toString();
      partial = [];
      start = end + 1;
      if (line === '.') {
        onFrame(lines);
        lines = [];
      } else {
        lines.push(line);
      }
    }
    if (start < chunk.length) partial.push(chunk.subarray(start));
  });
}

/** Runs of other deployments, and anything that is not a run, are passed over. */
export function parseList(deployment: string, lines: string[]): ObservedRun[] {
  const runs = new Map<string, ObservedRun>();
  let current: ObservedRun | undefined;
  for (const line of lines) {
    const [word, ...rest] = line.split(' ');
    if (word === 'run') {
      const token = rest[0] ?? '';
      const run = parseRunToken(deployment, token);
      current = run && { run, stdoutBytes: 0, stderrBytes: 0, tasks: [] };
      if (current) runs.set(token, current);
    } else if (word === 'task') {
      current?.tasks.push(parseTask(Number(rest[0]), rest[1] ?? '', rest.slice(2).join(' ')));
    } else if (word === 'size') {
      const [, token = '', stream] = (rest[0] ?? '').split('/');
      const of = runs.get(token);
      if (of && stream === 'stdout') of.stdoutBytes = Number(rest[1]);
      if (of && stream === 'stderr') of.stderrBytes = Number(rest[1]);
    }
  }
  return [...runs.values()];
}

function parseTask(launchNumber: number, state: string, detail: string): ObservedTask {
  if (state === 'running') return { launchNumber, state };
  if (state !== 'finished') return { launchNumber, state: 'lost', detail };
  try {
    return { launchNumber, state: 'finished', result: parseTaskResult(detail) };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    // The rename reached the disk and the content did not: a power loss.
    return { launchNumber, state: 'lost', detail: 'its result was cut short' };
  }
}
