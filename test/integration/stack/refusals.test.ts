import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import postgres from 'postgres';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { openHome } from '../../../scripts/stack/home.ts';
import { readLive } from '../../../scripts/stack/pid-file.ts';
import { identify, isAlive } from '../../../scripts/stack/process-identity.ts';
import { startStack, type Stack } from '../../../scripts/stack/stack.ts';
import { temporaryHome } from './temporary-home.ts';

const path = temporaryHome();
const holderMain = fileURLToPath(new URL('./holder.ts', import.meta.url));
let stack: Stack | undefined;
let holder: ChildProcess | undefined;
const cleanUp = async (): Promise<void> => {
  holder?.kill('SIGKILL');
  await stack?.stop();
  holder = stack = undefined;
};
beforeEach(cleanUp);
afterAll(async () => {
  await cleanUp();
  // What a killed holder left is only found by a start.
  await (await startStack({ home: path, children: [] })).stop();
});

/** @returns once its PostgreSQL is up */
async function startHolder(): Promise<{ process: ChildProcess; databaseUrl: string }> {
  holder = spawn(process.execPath, ['--import', 'tsx', holderMain, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  if (!holder.stdout) throw new Error('no output');
  const [line] = (await once(createInterface(holder.stdout), 'line')) as [string];
  return { process: holder, databaseUrl: line };
}

describe('a second start on the same home', () => {
  it('is refused while the first runs, in another process or in this one', async () => {
    const first = await startHolder();
    await expect(startStack({ home: path, children: [] })).rejects.toThrow(
      `a stack is already running on ${path} (process ${first.process.pid})`,
    );
  });

  it('ends what a killed stack left, and goes on with its data', async () => {
    const first = await startHolder();
    const sql = postgres(first.databaseUrl, { max: 1 });
    await sql`create table kept as select 1 as one`;
    await sql.end();
    first.process.kill('SIGKILL');
    await once(first.process, 'exit');
    const left = readLive(openHome(path).pidFile('postgres'));
    expect(left && isAlive(left)).toBe(true);

    stack = await startStack({ home: path, children: ['postgres'] });
    expect(left && isAlive(left)).toBe(false);
    expect(stack.databaseUrl).toBe(first.databaseUrl);
    const again = postgres(stack.databaseUrl, { max: 1 });
    expect([...(await again`select one from kept`)]).toEqual([{ one: 1 }]);
    await again.end();
  });

  it('leaves a stranger alone that has the pid of one of its children now', async () => {
    const stranger = spawn('sleep', ['600']);
    try {
      const identity = identify(stranger.pid ?? 0);
      if (!identity) throw new Error('sleep did not start');
      const stale = JSON.stringify({ ...identity, startTicks: identity.startTicks - 1 });
      for (const name of ['stack', 'postgres', 'api']) writeFileSync(join(path, 'pids', `${name}.json`), stale);
      stack = await startStack({ home: path, children: [] });
      expect(isAlive(identity)).toBe(true);
    } finally {
      stranger.kill('SIGKILL');
    }
  });
});

describe('a port that is taken', () => {
  it('is told with what to do, and the home is free again', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    try {
      await expect(startStack({ home: path, port, children: [] })).rejects.toThrow(
        `port ${port} is in use by another program: set PROMINENCE_PORT to a free one`,
      );
    } finally {
      server.close();
    }
    stack = await startStack({ home: path, children: [] });
  });
});

describe('a configuration that can not be used', () => {
  it.each([
    ['sitess: []\n', /prominence\.yaml can't be used:\n.*sitess: is not a known key; did you mean sites\?/],
    ['sites:\n  - a: 1\n b: 2\n', /prominence\.yaml:\d+:\d+: /],
  ])('is told by file and key before anything is started: %j', async (text, message) => {
    const { configFile } = openHome(path);
    const good = readFileSync(configFile, 'utf8');
    writeFileSync(configFile, text === 'sitess: []\n' ? `${good}${text}` : text);
    try {
      await expect(startStack({ home: path, children: ['postgres'] })).rejects.toThrow(message);
    } finally {
      writeFileSync(configFile, good);
    }
    expect(readLive(openHome(path).pidFile('postgres'))).toBeUndefined();
  });

  it('is told too when the folder is a file', async () => {
    const file = join(path, 'a-file');
    writeFileSync(file, '');
    await expect(startStack({ home: file, children: [] })).rejects.toThrow(/can't be the stack's folder/);
  });
});
