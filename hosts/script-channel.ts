/**
 * A script on a machine that is talked to: one command at a time over stdin, answered by lines up to a dot, and anything
 * on stderr means that something changed there.
 */
import { HostError, type HostSession } from './host.ts';
import { lastWords } from './installed-scripts.ts';
import { frames } from './watch-frames.ts';

/** No command takes longer than this unless the machine is in trouble. */
const answerSeconds = 300;

export class ScriptChannel {
  readonly #session: HostSession;
  readonly #label: string;
  readonly #waiting: { resolve: (lines: string[]) => void; reject: (error: Error) => void }[] = [];
  #early: string[][] = [];
  #changed = false;
  #wake: (() => void) | undefined;
  #gone: HostError | undefined;
  #complaints = '';
  #turn: Promise<unknown> = Promise.resolve();

  /** @param label what it is and where, for messages */
  constructor(session: HostSession, label: string) {
    this.#session = session;
    this.#label = label;
    frames(session.stdout, (lines) => {
      const next = this.#waiting.shift();
      if (next) next.resolve(lines);
      else this.#early.push(lines);
    });
    session.stderr.on('data', (chunk: Buffer) => {
      const text = chunk.toString();
      if (!text.includes('changed')) this.#complaints = lastWords(this.#complaints + text);
      this.#changed = true;
      this.#wake?.();
    });
    void session.ended.then((end) => {
      const why = end.error?.message ?? (this.#complaints || `it ended with ${end.exitCode ?? 'a signal'}`);
      this.#gone = new HostError('unreachable', `${label} is gone: ${why}`);
      for (const { reject } of this.#waiting.splice(0)) reject(this.#gone);
      this.#wake?.();
    });
  }

  get isGone(): boolean {
    return this.#gone !== undefined;
  }

  /** One command and its answer; commands wait for their turn. @throws HostError */
  command(line: string): Promise<string[]> {
    const result = this.#turn.then(() => {
      if (this.#gone) throw this.#gone;
      this.#session.stdin.write(`${line}\n`);
      return this.answer();
    });
    this.#turn = result.catch(() => {});
    return result;
  }

  answer(): Promise<string[]> {
    const early = this.#early.shift();
    if (early) return Promise.resolve(early);
    if (this.#gone) return Promise.reject(this.#gone);
    return new Promise<string[]>((resolve, reject) => {
      const timer = setTimeout(() => {
        // Its answers could no longer be told apart: the channel is of no use any more.
        this.#session.close();
        reject(new HostError('timeout', `${this.#label} did not answer within ${answerSeconds} s`));
      }, answerSeconds * 1000);
      const settle = (act: () => void) => () => {
        clearTimeout(timer);
        act();
      };
      this.#waiting.push({
        resolve: (lines) => settle(() => resolve(lines))(),
        reject: (error) => settle(() => reject(error))(),
      });
    });
  }

  waitForChange(milliseconds: number): Promise<void> {
    if (this.#changed || this.#gone) {
      this.#changed = false;
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#wake = undefined;
        this.#changed = false;
        resolve();
      };
      const timer = setTimeout(done, milliseconds);
      this.#wake = done;
    });
  }
}
