/**
 * A machine behind ssh as a host. Scripts travel in the command, which everybody there may read in the process list;
 * whatever is secret travels over stdin. What is left behind there lives on when the connection is lost.
 */
import { Readable } from 'node:stream';
import type { ClientChannel } from 'ssh2';
import { HostError, type Host, type HostSession, type RunOptions, type RunResult } from './host.ts';
import { shellCommand, shellQuote } from './quoting.ts';
import { SshPool, type ChannelLease, type PlaceRequest, type SshPoolOptions } from './ssh-pool.ts';

export interface SshHostOptions extends SshPoolOptions {
  /** Searched before the far end's own PATH for programs (apptainer, curl). */
  binDirectories?: string[];
}

/**
 * Closing a channel does not end what runs there, and sshd need not pass on signals: so the shell tells its pid as the
 * first line of stderr, and is ended by a command of its own.
 */
const tellPid = 'echo "$$" >&2\n';
/** sshd starts a command as leader of a group. TERM first: scripts tidy up after themselves. */
const endGroup = 'kill -TERM "-$1" || kill -TERM "$1"; sleep 2; kill -KILL "-$1"';

/** What ends a script has so long; a machine that does not even do that gets its place back. */
const endingMilliseconds = 10_000;

export function createSshHost(options: SshHostOptions): Host {
  const pool = new SshPool(options);
  const path = (options.binDirectories ?? []).map((directory) => `${directory}:`).join('');
  const setup = `PATH=${shellQuote(path)}$PATH LANG=C.UTF-8\nexport PATH LANG\n`;
  const start = (script: string, args: string[] = [], request: PlaceRequest = {}) =>
    pool.open(shellCommand(setup + script, args), request);
  const end = (pid: string) => void start(endGroup, [pid], { isEnding: true }).then(drain, () => {});
  return {
    label: pool.label,
    run: async (script, runOptions = {}) => {
      const limit = limitOf(runOptions);
      try {
        const { lasts } = runOptions;
        const { signal } = limit;
        const running = start(`${tellPid}${script}`, runOptions.args, { lasts, signal }).then((lease) =>
          runToEnd(lease, runOptions, signal, pool.label, end),
        );
        // A channel that is being opened for nobody any more is ended when it is there.
        return await Promise.race([running, whenAborted(signal)]);
      } finally {
        limit.clear();
      }
    },
    open: async (script, { args, lasts, signal } = {}) => {
      const limit = limitOf(signal ? { signal } : {});
      try {
        return asSession(await start(script, args, { lasts, signal: limit.signal }), pool.label);
      } finally {
        limit.clear();
      }
    },
    close: () => pool.close(),
  };
}

/** The caller's signal and time in one; the reason is the HostError to throw. */
function limitOf({ timeoutSeconds, signal }: RunOptions): { signal: AbortSignal; clear(): void } {
  const limit = new AbortController();
  const onAbort = () => limit.abort(new HostError('aborted', 'the caller gave up'));
  if (signal?.aborted) onAbort();
  signal?.addEventListener('abort', onAbort, { once: true });
  const timer =
    timeoutSeconds === undefined
      ? undefined
      : setTimeout(
          () => limit.abort(new HostError('timeout', `the script did not end within ${timeoutSeconds} s`)),
          timeoutSeconds * 1000,
        );
  return {
    signal: limit.signal,
    clear: () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    },
  };
}

function whenAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const onAbort = () => reject(signal.reason as HostError);
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  });
}

function runToEnd(
  { channel, onLost }: ChannelLease,
  options: RunOptions,
  signal: AbortSignal,
  label: string,
  end: (pid: string) => void,
): Promise<RunResult> {
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  const pidLine = () => {
    const text = Buffer.concat(stderr);
    const length = text.indexOf(10);
    return { pid: text.subarray(0, Math.max(0, length)).toString(), rest: text.subarray(length + 1) };
  };
  return new Promise<RunResult>((resolve, reject) => {
    let isSettled = false;
    const settle = (act: () => void) => {
      if (isSettled) return;
      isSettled = true;
      signal.removeEventListener('abort', onAbort);
      act();
    };
    const giveUp = (error: Error) =>
      settle(() => {
        reject(error);
        // A script that has only just started tells its pid in a moment, if at all.
        const finish = () => {
          clearTimeout(patience);
          channel.stderr.off('data', look);
          const { pid } = pidLine();
          if (/^\d+$/.test(pid)) end(pid);
          endChannel(channel);
        };
        const look = () => {
          if (pidLine().pid !== '') finish();
        };
        const patience = setTimeout(finish, endingMilliseconds);
        channel.stderr.on('data', look);
        look();
      });
    const onAbort = () => giveUp(signal.reason as HostError);
    signal.addEventListener('abort', onAbort, { once: true });

    channel.on('data', (chunk: Buffer) => stdout.push(chunk));
    channel.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
    // Not the exit event: that may have come before anybody could listen.
    channel.on('close', (exitCode: number | null | undefined, signal?: string) =>
      settle(() => {
        if (typeof exitCode === 'number') {
          resolve({ exitCode, stdout: Buffer.concat(stdout), stderr: pidLine().rest });
        } else {
          const why = signal === undefined ? 'the connection was lost' : `the shell was ended by ${signal}`;
          reject(new HostError('unreachable', `${label}: ${why}`));
        }
      }),
    );
    onLost((error) => settle(() => reject(error)));
    // The far end may stop reading before everything was sent; its exit code tells what it made of it.
    channel.on('error', () => {});
    if (signal.aborted) {
      onAbort();
      return;
    }
    const { stdin, staysOpen } = options;
    if (stdin instanceof Readable) {
      if (stdin.errored) giveUp(stdin.errored);
      stdin.once('error', giveUp);
      stdin.pipe(channel);
    } else if (staysOpen) {
      channel.write(stdin ?? Buffer.alloc(0));
    } else {
      channel.end(stdin ?? Buffer.alloc(0));
    }
  });
}

function asSession({ channel, onLost }: ChannelLease, label: string): HostSession {
  const ended = new Promise<{ exitCode?: number; error?: Error }>((resolve) => {
    channel.on('close', (exitCode: number | null | undefined) =>
      resolve(
        typeof exitCode === 'number'
          ? { exitCode }
          : { error: new HostError('unreachable', `${label}: the connection was lost`) },
      ),
    );
    onLost((error) => resolve({ error }));
  });
  channel.on('error', () => {});
  return { stdin: channel, stdout: channel, stderr: channel.stderr, ended, close: () => endChannel(channel) };
}

function endChannel(channel: ClientChannel): void {
  try {
    channel.close();
  } catch {
    // Already closed, or its connection is.
  }
}

/** Reads a channel whose words are of no interest, so that it can close. */
function drain({ channel }: ChannelLease): void {
  channel.on('error', () => {});
  channel.resume();
  channel.stderr.resume();
  channel.end();
  const patience = setTimeout(() => endChannel(channel), endingMilliseconds);
  channel.once('close', () => clearTimeout(patience));
}
