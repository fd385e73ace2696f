/** Who reaches the ports of the embedded stack's Temporal: our own account, and no job. */
import { execFileSync } from 'node:child_process';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findAccount, jobAccount } from '../../../scripts/stack/account.ts';
import { listeningPorts } from '../../../scripts/stack/listening-ports.ts';
import { eventually } from '../../ground/rest.ts';
import { runningStack, shellJob, type RunningStack } from '../../ground/running-stack.ts';

const isRoot = process.getuid!() === 0;
let running: RunningStack;
beforeAll(async () => {
  running = await runningStack();
});
afterAll(() => running?.stop());

const ports = () => listeningPorts(running.stack.children.temporal!.pid!);

/** Whether this process gets through. */
const reaches = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => (socket.destroy(), resolve(true)));
    socket.on('error', () => resolve(false));
  });

/** Those of the ports that a process of the jobs' account gets through to. */
function reachedByJobAccount(): number[] {
  const { uid, gid } = findAccount(jobAccount)!;
  const script = `
    const { connect } = require('node:net');
    for (const port of process.argv.slice(1)) {
      const socket = connect(Number(port), '127.0.0.1', () => { console.log(port); socket.destroy(); });
      socket.on('error', () => {});
    }`;
  const words = ['-e', script, ...ports().map(String)];
  return execFileSync(process.execPath, words, { uid, gid, cwd: '/', encoding: 'utf8' })
    .trim()
    .split('\n')
    .filter(Boolean)
    .map(Number);
}

describe.runIf(isRoot)('of a stack that root runs', () => {
  it('all ports of Temporal and its web UI are closed to the account of jobs, and open to ours', async () => {
    // Frontend, HTTP, metrics, web UI, history, matching, and what a later version adds.
    expect(ports().length).toBeGreaterThanOrEqual(6);
    for (const port of ports()) expect(await reaches(port), String(port)).toBe(true);
    expect(reachedByJobAccount()).toEqual([]);
    expect(running.stack.temporalWall).toMatch(/answer this account only/);
  });

  it('a job in a container reaches none of them', async () => {
    const line = `for p in ${ports().join(' ')}; do nc -w 3 127.0.0.1 $p </dev/null && echo open $p; done; echo tried`;
    const id = await running.rest.submit(shellJob(line));
    await running.rest.ended(id);
    expect(await running.rest.output(id)).toBe('tried\n');
  });

  it('they are closed again when it was started again, with other ports', async () => {
    const before = ports();
    process.kill(running.stack.children.temporal!.pid!, 'SIGKILL');
    await eventually(
      async () => (ports().length >= 6 && ports().join() !== before.join() ? true : undefined),
      () => `Temporal listens on ${ports().join()}, and before on ${before.join()}`,
    );
    await eventually(
      async () => (reachedByJobAccount().length === 0 ? true : undefined),
      () => `the account of jobs reaches ${reachedByJobAccount().join()}`,
      5,
    );
    const id = await running.rest.submit(shellJob('echo on'));
    expect((await running.rest.ended(id)).status).toBe('completed');
  });

  it('a rule that somebody flushed is there again, and nothing is left of a stack that stopped', async () => {
    const [, table] = /table (\w+)/.exec(running.stack.temporalWall)!;
    execFileSync('nft', ['delete', 'table', 'inet', table!]);
    await eventually(
      async () => (reachedByJobAccount().length === 0 ? true : undefined),
      () => 'the wall is not there again',
      60,
      1000,
    );
    await running.stop();
    expect(execFileSync('nft', ['list', 'tables'], { encoding: 'utf8' })).not.toContain(table);
  });
});
