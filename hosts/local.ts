/**
 * This machine as a host. Where our own process is root, scripts run as an unprivileged account: a job must never be
 * root's, not even by mistake.
 */
import { execFileSync, spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { chownSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { userInfo } from 'node:os';
import { getuid, kill } from 'node:process';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { HostError, type Host, type HostSession, type RunOptions, type RunResult } from './host.ts';

export interface LocalHostOptions {
  /** The account scripts run as when this process is root; not looked at otherwise. */
  account: string;
  /** Searched before the system's own folders for programs (apptainer, curl). */
  binDirectories?: string[];
  /** Made, and given to the account, when this process is root: the account could not do so itself. */
  workDirectory?: string;
}

const systemPath = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

export function createLocalHost(options: LocalHostOptions): Host {
  const identity = resolveIdentity(options.account);
  if (options.workDirectory !== undefined) ownDirectory(options.workDirectory, identity);
  const environment = {
    PATH: [...(options.binDirectories ?? []), ...systemPath].join(':'),
    HOME: identity.home,
    USER: identity.name,
    LANG: 'C.UTF-8',
  };
  const sessions = new Set<ChildProcessWithoutNullStreams>();

  const start = (script: string, args: string[]): ChildProcessWithoutNullStreams => {
    const [program, ...words] = [...identity.become, 'sh', '-c', script, 'sh', ...args] as [string, ...string[]];
    // Detached: signals that the terminal sends to our process group are not meant for what runs there.
    const child = spawn(program, words, { env: environment, cwd: '/', detached: true, stdio: 'pipe' });
    sessions.add(child);
    child.once('close', () => sessions.delete(child));
    return child;
  };

  return {
    label: 'local',
    run: (script, runOptions = {}) => runToEnd(start(script, runOptions.args ?? []), runOptions),
    open: (script, openOptions = {}) => Promise.resolve(asSession(start(script, openOptions.args ?? []))),
    close: () => {
      for (const child of sessions) killGroup(child);
      return Promise.resolve();
    },
  };
}

interface Identity {
  name: string;
  home: string;
  uid: number;
  gid: number;
  /** Words in front of `sh` that turn root into the account. */
  become: string[];
}

/** @throws Error when this process is root and the account is missing or is root itself */
function resolveIdentity(account: string): Identity {
  if (getuid?.() !== 0) {
    const self = userInfo();
    return { name: self.username, home: self.homedir, uid: self.uid, gid: self.gid, become: [] };
  }
  const entry = passwdEntry(account);
  if (!entry)
    throw new Error(`no account ${account} on this machine: make it (useradd -m ${account}), or name another`);
  const [, , uid, gid, , home] = entry.split(':');
  if (Number(uid) === 0) throw new Error(`jobs must not run as root: ${account} is root`);
  return {
    name: account,
    home: home || '/',
    uid: Number(uid),
    gid: Number(gid),
    become: ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--init-groups', '--'],
  };
}

function passwdEntry(account: string): string | undefined {
  try {
    return execFileSync('getent', ['passwd', account], { encoding: 'utf8' }).trim();
  } catch (error) {
    // 2: the key is not in the database.
    if ((error as { status?: number }).status === 2) return undefined;
    throw error;
  }
}

/** An existing folder changes hands only while it is empty: a mistyped path must not give away somebody's files. */
function ownDirectory(directory: string, identity: Identity): void {
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  if (identity.become.length === 0 || statSync(directory).uid === identity.uid) return;
  if (readdirSync(directory).length > 0) {
    throw new Error(`${directory} is not empty and does not belong to ${identity.name}: chown it, or name another`);
  }
  chownSync(directory, identity.uid, identity.gid);
}

async function runToEnd(child: ChildProcessWithoutNullStreams, options: RunOptions): Promise<RunResult> {
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  let ended: HostError | undefined;
  let force: NodeJS.Timeout | undefined;
  // TERM first: scripts tidy up after themselves.
  const end = (error: HostError) => {
    ended ??= error;
    killGroup(child, 'SIGTERM');
    force ??= setTimeout(() => killGroup(child), 2000);
  };
  const timer =
    options.timeoutSeconds === undefined
      ? undefined
      : setTimeout(
          () => end(new HostError('timeout', `the script did not end within ${options.timeoutSeconds} s`)),
          options.timeoutSeconds * 1000,
        );
  const onAbort = () => end(new HostError('aborted', 'the caller gave up'));
  if (options.signal?.aborted) onAbort();
  options.signal?.addEventListener('abort', onAbort, { once: true });
  try {
    const closed = closeOf(child);
    const fed = feed(child, options);
    fed.catch(() => {});
    const [code, signal] = await closed;
    if (ended) throw ended;
    await fed;
    if (code === null) throw new HostError('unreachable', `the shell was ended by ${signal ?? 'a signal'}`);
    return { exitCode: code, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr) };
  } finally {
    clearTimeout(timer);
    clearTimeout(force);
    options.signal?.removeEventListener('abort', onAbort);
  }
}

/** @throws HostError when there was no process in the first place */
async function closeOf(child: ChildProcessWithoutNullStreams): Promise<[number | null, NodeJS.Signals | null]> {
  try {
    return (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  } catch (error) {
    throw new HostError('unreachable', `could not run a shell: ${(error as Error).message}`, { cause: error });
  }
}

const closedEarly = new Set(['EPIPE', 'ECONNRESET', 'ERR_STREAM_PREMATURE_CLOSE']);

/** A script may end without reading its stdin; that is no error of ours. A source that fails is. */
async function feed(child: ChildProcessWithoutNullStreams, { stdin, staysOpen }: RunOptions): Promise<void> {
  if (stdin instanceof Readable) {
    try {
      return await pipeline(stdin, child.stdin);
    } catch (error) {
      const cause: NodeJS.ErrnoException = stdin.errored ?? (error as Error);
      if (cause.code !== undefined && closedEarly.has(cause.code)) return;
      killGroup(child);
      throw cause;
    }
  }
  child.stdin.on('error', () => {});
  if (staysOpen) child.stdin.write(stdin ?? Buffer.alloc(0));
  else child.stdin.end(stdin ?? Buffer.alloc(0));
}

function asSession(child: ChildProcessWithoutNullStreams): HostSession {
  child.stdin.on('error', () => {});
  const ended = new Promise<{ exitCode?: number; error?: Error }>((resolve) => {
    child.once('error', (error) => resolve({ error }));
    child.once('close', (code) => resolve(code === null ? {} : { exitCode: code }));
  });
  return { stdin: child.stdin, stdout: child.stdout, stderr: child.stderr, ended, close: () => killGroup(child) };
}

function killGroup(child: ChildProcessWithoutNullStreams, signal: NodeJS.Signals = 'SIGKILL'): void {
  child.stdin.destroy();
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    kill(-child.pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
