import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { readLive } from './pid-file.ts';
import { pauseBeforeRestartMs, SupervisedProcess, type ChildSpec } from './supervised-process.ts';

let folder: string;
let child: SupervisedProcess | undefined;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'prominence-child-'))));
afterEach(async () => {
  await child?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Writes a line to `ready` each time it starts, then sleeps. */
function shell(script: string, more: Partial<ChildSpec> = {}): SupervisedProcess {
  const spec: ChildSpec = {
    name: 'child',
    command: 'sh',
    args: ['-c', script],
    env: process.env,
    cwd: folder,
    logFile: join(folder, 'child.log'),
    pidFile: join(folder, 'child.json'),
    stopSignal: 'SIGTERM',
    stopGraceSeconds: 0.2,
    isReady: () => Promise.resolve(existsSync(join(folder, 'ready'))),
    readyWithinSeconds: 10,
    ...more,
  };
  child = new SupervisedProcess(spec, () => undefined);
  return child;
}

describe('a supervised process', () => {
  it('comes back at once under another pid when it is killed, and its pid file follows', async () => {
    const supervised = shell('echo x >>ready; exec sleep 60');
    await supervised.start();
    const first = supervised.pid;
    process.kill(first ?? 0, 'SIGKILL');
    const isBack = () => expect(readFileSync(join(folder, 'ready'), 'utf8')).toBe('x\nx\n');
    await vi.waitFor(isBack, { timeout: 20_000 });
    expect(supervised.pid).not.toBe(first);
    expect(readLive(join(folder, 'child.json'))?.pid).toBe(supervised.pid);
  });

  it('stays away once stopped, also when it does not listen', async () => {
    const supervised = shell("trap '' TERM; echo x >>ready; while :; do sleep 0.05; done");
    await supervised.start();
    await supervised.stop();
    expect(readLive(join(folder, 'child.json'))).toBeUndefined();
    expect(existsSync(join(folder, 'child.json'))).toBe(false);
  });

  it('that ends while starting is told with its last words', async () => {
    const supervised = shell('echo cannot open the thing >&2; exit 3');
    await expect(supervised.start()).rejects.toThrow(/child ended while starting:\n.*cannot open the thing/);
  });

  it('that does not become ready in time is ended and told', async () => {
    const supervised = shell('echo waiting; exec sleep 60', { readyWithinSeconds: 0.2 });
    await expect(supervised.start()).rejects.toThrow(/did not become ready within 0.2 s/);
    expect(supervised.pid).toBeUndefined();
  });

  it('whose program is missing is told', async () => {
    const supervised = shell('', { command: join(folder, 'no-such-program') });
    await expect(supervised.start()).rejects.toThrow('child ended while starting');
  });
});

describe('the pause before a restart', () => {
  it('is none the first time, then grows to 5 s', () => {
    expect([1, 2, 3, 4, 20].map(pauseBeforeRestartMs)).toEqual([0, 200, 400, 800, 5000]);
  });
});
