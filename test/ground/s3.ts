/** A real S3 server for tests: versitygw over a temporary folder, on loopback. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { findInCache } from '../../scripts/components/go-install.ts';
import { thisMachine } from '../../scripts/machine.ts';
import { pickPort } from '../../scripts/stack/ports.ts';

export interface S3Server {
  endpoint: string;
  accessKeyId: string;
  secretAccessKey: string;
  /** Ends the server without warning; what was stored stays. */
  goDown(): Promise<void>;
  /** At the same address, with what was stored. */
  comeBack(): Promise<void>;
  /** Ends the server and removes what was stored. */
  stop(): Promise<void>;
}

/** @throws when the program is missing, saying how to get it, or does not answer in time */
export async function startS3(): Promise<S3Server> {
  const machine = thisMachine();
  const program = findInCache(machine, 'versitygw');
  if (program === undefined) {
    throw new Error(`versitygw is not in ${machine.cache}/bin: get it with npm run setup -- --tests`);
  }
  const folder = await mkdtemp(join(tmpdir(), 'prominence-s3-'));
  const port = await pickPort(undefined, new Set());
  const accessKeyId = 'test-access';
  const secretAccessKey = 'test-secret-0123456789';
  let child: ChildProcess | undefined;
  const end = async (signal: NodeJS.Signals) => {
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  };
  const stop = async () => {
    await end('SIGTERM');
    await rm(folder, { recursive: true, force: true });
  };
  const endpoint = `http://127.0.0.1:${port}`;
  const comeBack = async () => {
    child = spawn(program, ['--port', `127.0.0.1:${port}`, '--quiet', '--health', '/health', 'posix', folder], {
      env: { PATH: machine.env['PATH'], ROOT_ACCESS_KEY: accessKeyId, ROOT_SECRET_KEY: secretAccessKey },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let complaint = '';
    child.stderr?.on('data', (data: Buffer) => (complaint += data.toString()));
    const deadline = Date.now() + 90_000;
    while (!(await answers(`${endpoint}/health`))) {
      if (child.exitCode !== null || Date.now() > deadline) {
        await stop();
        throw new Error(`versitygw does not answer: ${complaint}`);
      }
      await pause(50);
    }
  };
  await comeBack();
  return { endpoint, accessKeyId, secretAccessKey, goDown: () => end('SIGKILL'), comeBack, stop };
}

async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(url)).ok;
  } catch (error) {
    if (error instanceof TypeError) return false;
    throw error;
  }
}
