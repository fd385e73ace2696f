/** What becomes of a command beside a job when somebody on its way dies. */
import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../../ground/rest.ts';
import { runningStack, shellJob, type RunningStack } from '../../ground/running-stack.ts';

let running: RunningStack;
let jobId: number;

beforeAll(async () => {
  running = await runningStack();
  const { rest } = running;
  jobId = await rest.submit(shellJob('echo ready; while true; do sleep 0.2; done'));
  const isReady = async () => ((await rest.output(jobId)) === 'ready\n' ? true : undefined);
  await eventually(isReady, () => 'the job did not begin');
});
afterAll(() => running?.stop());

/** A command that writes a line and is then silent for long, recognisable among the processes of this machine. */
async function silentCommand(seconds: string, signal?: AbortSignal) {
  const response = await fetch(`${running.rest.url}/jobs/${jobId}/exec`, {
    method: 'POST',
    headers: { authorization: `Bearer ${await running.stack.token('ann')}`, 'content-type': 'application/json' },
    body: JSON.stringify({ command: ['sh', '-c', `echo begun; sleep ${seconds}`] }),
    ...(signal ? { signal } : {}),
  });
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  expect((await reader.read()).value).toBe('begun\n');
  await eventually(
    () => Promise.resolve(isThere(seconds) ? true : undefined),
    () => `sleep ${seconds} did not begin`,
  );
  return reader;
}

const isThere = (seconds: string): boolean =>
  execFileSync('ps', ['-A', '-ww', '-o', 'args'], { encoding: 'utf8', maxBuffer: 1e8 })
    .split('\n')
    .some((line) => line.startsWith(`sleep ${seconds}`));

const isGone = (seconds: string) =>
  eventually(
    () => Promise.resolve(isThere(seconds) ? undefined : true),
    () => `sleep ${seconds} goes on`,
    90,
  );

describe('a command beside a job', () => {
  it('ends when its caller goes away, though it writes nothing', async () => {
    const gone = new AbortController();
    await silentCommand('7001', gone.signal);
    gone.abort();
    await isGone('7001');
  });

  it('ends with its worker, is not begun again, and the caller is told', async () => {
    const reader = await silentCommand('7002');
    process.kill(running.stack.children.worker!.pid!, 'SIGKILL');
    await isGone('7002');
    let rest = '';
    for (let part = await reader.read(); !part.done; part = await reader.read()) rest += part.value;
    expect(rest).toBe('\n[prominence: the worker that ran the command was lost]\n');
    expect(isThere('7002')).toBe(false);
    const again = await running.rest.request('POST', `/jobs/${jobId}/exec`, { command: ['echo', 'again'] });
    expect([again.status, await again.text()]).toEqual([200, 'again\n']);
  });

  it('ends with its job', async () => {
    const reader = await silentCommand('7003');
    await running.rest.request('DELETE', `/jobs/${jobId}`);
    let rest = '';
    for (let part = await reader.read(); !part.done; part = await reader.read()) rest += part.value;
    expect(rest).toBe('\n[prominence: the command was ended with the job]\n');
    await isGone('7003');
    expect((await running.rest.ended(jobId)).status).toBe('deleted');
  });
});
