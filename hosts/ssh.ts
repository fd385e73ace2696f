/**
 * A machine behind ssh as a host. Scripts travel in the command, which everybody there may read in the process list;
 * whatever is secret travels over stdin. What is left behind there lives on when the connection is lost.
 */
import { Readable } from 'node:stream';
import type { ClientChannel } from 'ssh2';
import { HostError, type Host, type HostSession, type RunOptions, type RunResult } from './host.ts';
import { shellCommand, shellQuote } from './quoting.ts';
import { SshPool, type ChannelLease, type SshPoolOptions } from './ssh-pool.ts';

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

export function createSshHost(options: SshHostOptions): Host {
  const pool = new SshPool(options);
  const path = (options.binDirectories ?? []).map((directory) => `${directory}:`).join('');
  const setup = `PATH=${shellQuote(path)}$PATH LANG=C.UTF-8\nexport PATH LANG\n`;
  const start = (script: string, args: string[] = []) => pool.open(shellCommand(setup + script, args));
  return {
    label: pool.label,
    run: async (script, runOptions = {}) => {
      if (runOptions.signal?.aborted) throw new HostError('aborted', 'the caller gave up');
      const lease = await start(`${tellPid}${script}`, runOptions.args);
      const end = (pid: string) => void start(endGroup, [pid]).then(drain, () => {});
      return runToEnd(lease, runOptions, pool.label, end);
    },
    open: async (script, openOptions = {}) => asSession(await start(script, openOptions.args), pool.label),
    close: () => pool.close(),
  };
}

function runToEnd(
  { channel, onLost }: ChannelLease,
  options: RunOptions,
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
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', onAbort);
      act();
    };
    const giveUp = (error: Error) =>
      settle(() => {
        const { pid } = pidLine();
        if (/^\d+$/.test(pid)) end(pid);
        endChannel(channel);
        reject(error);
      });
    const onAbort = () => giveUp(new HostError('aborted', 'the caller gave up'));
    const timer =
      options.timeoutSeconds === undefined
        ? undefined
        : setTimeout(
            () => giveUp(new HostError('timeout', `the script did not end within ${options.timeoutSeconds} s`)),
            options.timeoutSeconds * 1000,
          );
    if (options.signal?.aborted) onAbort();
    options.signal?.addEventListener('abort', onAbort, { once: true });

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
}
