import { PassThrough } from 'node:stream';
import { expect, it } from 'vitest';
import { frames, parseList } from './watch-frames.ts';

const result =
  '{"exitCode":3,"cause":"exited","startedAt":100.5,"uptimes":[10.25,12.75],"cpu":"0m0.040s 1m1.500s","maxResidentSetSizeKb":7}';

it('puts answers together from whatever pieces they come in', async () => {
  const text = 'one\nzwei ☀\n.\n.\nlast\n.\n';
  const whole = Buffer.from(text);
  for (const size of [1, 2, 3, whole.length]) {
    const stream = new PassThrough();
    const seen: string[][] = [];
    frames(stream, (lines) => seen.push(lines));
    for (let start = 0; start < whole.length; start += size) stream.write(whole.subarray(start, start + size));
    stream.end();
    await new Promise((resolve) => stream.once('end', resolve));
    expect(seen).toEqual([['one', 'zwei ☀'], [], ['last']]);
  }
});

it('reads a list, and passes over what is not of this deployment', () => {
  const runs = parseList('p', [
    'run p-7.1.0',
    `task 0 finished ${result}`,
    'task 1 running',
    'task 2 lost the machine restarted',
    'task 3 finished {"exitCode":',
    'run other-1.1.0',
    'task 0 running',
    'run p-8.2.1',
    'size runs/p-7.1.0/stdout 12',
    'size runs/p-7.1.0/stderr 3',
    'size runs/other-1.1.0/stdout 5',
  ]);
  expect(runs).toEqual([
    {
      run: { deployment: 'p', jobId: 7, attempt: 1, node: 0 },
      stdoutBytes: 12,
      stderrBytes: 3,
      tasks: [
        {
          launchNumber: 0,
          state: 'finished',
          result: {
            exitCode: 3,
            cause: 'exited',
            startedAt: 100.5,
            endedAt: 103,
            cpuSeconds: 61.54,
            maxResidentSetSizeKb: 7,
          },
        },
        { launchNumber: 1, state: 'running' },
        { launchNumber: 2, state: 'lost', detail: 'the machine restarted' },
        { launchNumber: 3, state: 'lost', detail: 'its result was cut short' },
      ],
    },
    { run: { deployment: 'p', jobId: 8, attempt: 2, node: 1 }, stdoutBytes: 0, stderrBytes: 0, tasks: [] },
  ]);
});
