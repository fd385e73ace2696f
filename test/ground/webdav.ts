/** A real WebDAV server for tests: rclone over a temporary folder, with a user and a password. */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { rclone } from '../../scripts/components/rclone.ts';
import { thisMachine } from '../../scripts/machine.ts';
import { pickPort } from '../../scripts/stack/ports.ts';

export interface WebdavServer {
  url: string;
  username: string;
  password: string;
  /** What it serves. */
  folder: string;
  /** Without a word to anybody. */
  kill(): Promise<void>;
  /** It takes connections and answers none, and the other way round. */
  freeze(): void;
  thaw(): void;
  stop(): Promise<void>;
}

/** @throws when the program is missing, saying how to get it, or does not answer in time */
export async function startWebdav(address = '127.0.0.1'): Promise<WebdavServer> {
  const component = rclone(thisMachine());
  const program = await component.find();
  if (!program) throw new Error(`rclone is not here: ${component.advice}`);
  const home = mkdtempSync(join(tmpdir(), 'prominence-webdav-'));
  const folder = join(home, 'files');
  mkdirSync(folder);
  const port = await pickPort(undefined, new Set());
  const username = 'ann';
  // What a shell, a configuration file or a URL would read otherwise.
  const password = `s3cret,"'$x#${randomBytes(6).toString('hex')}`;
  // What tests put into the folder is there at once.
  const words = ['serve', 'webdav', folder, '--addr', `${address}:${port}`, '--config', '', '--dir-cache-time', '1ms'];
  const child = spawn(program.path, words, {
    // Command lines are looked through for the password.
    env: { PATH: process.env['PATH'], HOME: home, RCLONE_USER: username, RCLONE_PASS: password },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let complaint = '';
  child.stderr.on('data', (data: Buffer) => (complaint += data.toString()));
  const kill = () => ended(child);
  const stop = async () => {
    await kill();
    rmSync(home, { recursive: true, force: true });
  };
  const url = `http://${address}:${port}/`;
  const deadline = Date.now() + 90_000;
  while (!(await answers(url))) {
    if (child.exitCode !== null || Date.now() > deadline) {
      await stop();
      throw new Error(`the WebDAV server does not answer: ${complaint}`);
    }
    await pause(50);
  }
  const freeze = () => void child.kill('SIGSTOP');
  return { url, username, password, folder, kill, freeze, thaw: () => void child.kill('SIGCONT'), stop };
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(url)).status === 401;
  } catch (error) {
    if (error instanceof TypeError) return false;
    throw error;
  }
}
