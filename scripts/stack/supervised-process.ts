/**
 * One child of the stack: started, watched, and started again at once when it dies unasked. It runs in its own session,
 * so that a terminal's Ctrl-C reaches only the stack, which then stops the children in order.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { lastLines, openLog } from './log-file.ts';
import { end, forget, record } from './pid-file.ts';
import { identify } from './process-identity.ts';

export interface ChildSpec {
  name: string;
  command: string;
  args: readonly string[];
  env: NodeJS.ProcessEnv;
  cwd: string;
  /** The account it runs as, when that is not this process's own. */
  account?: { uid: number; gid: number };
  logFile: string;
  pidFile: string;
  /** Each time it was started: its process is another then. */
  onStarted?: (pid: number) => void;
  /** What it understands as: finish in order. */
  stopSignal: NodeJS.Signals;
  stopGraceSeconds: number;
  /** Asked repeatedly until true. Anything it throws means not yet. */
  isReady: () => Promise<boolean>;
  readyWithinSeconds: number;
}

export class ChildFailed extends Error {
  override readonly name = 'ChildFailed';
}

const longestPauseMs = 5000;
/** A child that lived this long was well: the next death is not counted as a repetition. */
const wellAfterMs = 10_000;

export class SupervisedProcess {
  readonly #spec: ChildSpec;
  readonly #log: (message: string) => void;
  #child: ChildProcess | undefined;
  #isStopping = false;
  #deathsInARow = 0;
  #restart: NodeJS.Timeout | undefined;

  constructor(spec: ChildSpec, log: (message: string) => void) {
    this.#spec = spec;
    this.#log = log;
  }

  /** Undefined in the moment between a death and the next start. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Resolves when the child is ready. @throws ChildFailed, with its last words, when it ends or takes too long */
  async start(): Promise<void> {
    const { name, readyWithinSeconds, isReady, logFile } = this.#spec;
    this.#launch();
    const deadline = Date.now() + readyWithinSeconds * 1000;
    for (;;) {
      if (this.#deathsInARow > 0) throw this.#failure(`${name} ended while starting`);
      // A stranger on its port may answer in its place, so an answer counts only while the child lives.
      if ((await isReady().catch(() => false)) && this.#deathsInARow === 0 && this.#child) return;
      if (Date.now() > deadline) {
        await this.stop();
        throw this.#failure(`${name} did not become ready within ${readyWithinSeconds} s (${logFile})`);
      }
      await sleep(50);
    }
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    clearTimeout(this.#restart);
    const child = this.#child;
    const identity = child?.pid === undefined ? undefined : identify(child.pid);
    // The process may be gone before its event has told us.
    const told = child && identity ? once(child, 'exit') : undefined;
    if (identity) await end(identity, { signal: this.#spec.stopSignal, graceSeconds: this.#spec.stopGraceSeconds });
    await told;
    forget(this.#spec.pidFile);
  }

  #launch(): void {
    const { command, args, env, cwd, account, logFile, pidFile, onStarted } = this.#spec;
    const log = openLog(logFile);
    const startedAt = Date.now();
    const child = spawn(command, args, { env, cwd, detached: true, stdio: ['ignore', log, log], ...account });
    closeSync(log);
    this.#child = child;
    if (child.pid !== undefined) {
      record(pidFile, child.pid);
      onStarted?.(child.pid);
    }
    const ended = (how: string): void => {
      if (this.#child !== child) return;
      this.#child = undefined;
      if (!this.#isStopping) this.#ended(how, Date.now() - startedAt);
    };
    child.once('error', (error) => ended(error.message));
    child.once('exit', (code, signal) => ended(signal ? `killed by ${signal}` : `exit code ${code}`));
  }

  #ended(how: string, livedMs: number): void {
    this.#deathsInARow = livedMs > wellAfterMs ? 1 : this.#deathsInARow + 1;
    const pauseMs = pauseBeforeRestartMs(this.#deathsInARow);
    this.#log(`${this.#spec.name} ended (${how}); starting it again${pauseMs > 0 ? ` in ${pauseMs / 1000} s` : ''}`);
    this.#restart = setTimeout(() => this.#launch(), pauseMs);
  }

  #failure(what: string): ChildFailed {
    this.#isStopping = true;
    clearTimeout(this.#restart);
    forget(this.#spec.pidFile);
    const lines = lastLines(this.#spec.logFile, 15).map((line) => `  | ${line}`);
    return new ChildFailed([`${what}:`, ...lines].join('\n'));
  }
}

/** At once the first time, then 0.2 s doubling to 5 s. */
export function pauseBeforeRestartMs(deathsInARow: number): number {
  if (deathsInARow <= 1) return 0;
  return Math.min(200 * 2 ** (deathsInARow - 2), longestPauseMs);
}
