/** A process of the test: started with exactly the environment it is given, and ended by its id. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';

export interface ChildOptions {
  env: Record<string, string>;
  cwd: string;
}

export interface RunningChild {
  pid: number | undefined;
  /** Undefined while it runs. */
  exitCode(): number | undefined;
  /** The last it said. */
  output(): string;
  /** When all it said is there. */
  closed: Promise<unknown>;
  stop(): Promise<void>;
}

/** TERM, and KILL only for what does not listen: a container gets no more either. */
const graceSeconds = 40;

export function startChild(name: string, command: readonly string[], options: ChildOptions): RunningChild {
  const child = spawn(command[0]!, command.slice(1), { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  const keep = (data: Buffer) => (output = (output + data.toString()).slice(-20_000));
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const closed = new Promise((resolve) => child.on('close', resolve));
  child.on('error', (error) => (output += String(error)));
  const isRunning = () => child.pid !== undefined && child.exitCode === null && child.signalCode === null;
  return {
    pid: child.pid,
    exitCode: () => (isRunning() ? undefined : (child.exitCode ?? -1)),
    output: () => `--- ${name}\n${output}`,
    closed,
    async stop() {
      if (!isRunning()) return;
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      const timer = new AbortController();
      const late = pause(graceSeconds * 1000, 'late', { signal: timer.signal }).catch(() => 'ended');
      if ((await Promise.race([ended, late])) === 'late') child.kill('SIGKILL');
      timer.abort();
      await ended;
    },
  };
}

/** A one-shot. @throws when it fails, with what it said */
export async function runToEnd(name: string, command: readonly string[], options: ChildOptions): Promise<string> {
  const child = startChild(name, command, options);
  while (child.exitCode() === undefined) await pause(20);
  if (child.exitCode() !== 0) throw new Error(`${name} ended with ${child.exitCode()}\n${child.output()}`);
  await child.closed;
  return child.output();
}
