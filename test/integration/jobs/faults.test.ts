/**
 * Everything of ours is killed without warning while jobs run. Every accepted job must end completed, have begun
 * exactly once, and have its whole output.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { countEffects, type Effects } from '../../ground/effects.ts';
import { buildBusybox } from '../../ground/images.ts';
import { eventually, Rest } from '../../ground/rest.ts';
import { pickPort } from '../../../scripts/stack/ports.ts';
import { runFolder } from '../../ground/run-directories.ts';
import { runningStack, shellJob, type RunningStack } from '../../ground/running-stack.ts';

let running: RunningStack;
let effects: Effects;

beforeAll(async () => {
  effects = await countEffects();
  running = await runningStack({}, { network: 'host' });
});
afterAll(async () => {
  await running?.stop();
  effects?.close();
});

const lines = 20;
const wholeOutput = `begin\n${Array.from({ length: lines }, (_, index) => `line ${index + 1}\n`).join('')}end\n`;

/** Begins once, speaks for some seconds, delivers a file. */
function talkativeJob(name: string) {
  const talk = `i=0; while [ $i -lt ${lines} ]; do i=$((i+1)); echo line $i; sleep 0.1; done`;
  return shellJob(`echo begin; ${effects.line(name)} >> effect.txt; ${talk}; echo end`, {
    name,
    outputFiles: ['effect.txt'],
    resources: { nodes: 1, cpus: 1, memory: 1, disk: 1 },
  });
}

/** @throws when a job did not run exactly once and whole */
async function expectOnceAndWhole(rest: Rest, id: number, name: string): Promise<void> {
  const job = await rest.ended(id, 120);
  expect(job).toMatchObject({ status: 'completed', execution: { tasks: [{ exitCode: 0 }] } });
  expect(await rest.output(id)).toBe(wholeOutput);
  expect(effects.count(name), `starts of ${name}`).toBe(1);
  expect(await (await fetch(job.outputFiles![0]!.url)).text()).toBe('heard\n');
}

const randomly = (maximumMilliseconds: number) => pause(Math.random() * maximumMilliseconds);

describe.each(['worker', 'postgres', 'temporal', 'api'] as const)('kill -9 of the %s', (child) => {
  it.each([1, 2, 3])('in the middle of jobs loses nothing and repeats nothing (%i)', async (round) => {
    const names = Array.from({ length: 4 }, (_, index) => `${child}-${round}-${index}`);
    const ids: number[] = [];
    for (const name of names) ids.push(await running.rest.submit(talkativeJob(name)));
    await randomly(4000);
    const { pid } = running.stack.children[child]!;
    process.kill(pid!, 'SIGKILL');
    await eventually(
      () => Promise.resolve(running.stack.children[child]!.pid !== pid ? true : undefined),
      () => `${child} was not started again`,
    );
    for (const [index, id] of ids.entries()) await expectOnceAndWhole(running.rest, id, names[index]!);
  });
});

describe('kill -9 of the API between accepting and answering', () => {
  it('gives one job for one idempotency key, however often the submit is repeated', async () => {
    for (let round = 0; round < 5; round += 1) {
      const name = `accept-${round}`;
      const headers = { 'idempotency-key': `key-${round}` };
      const submit = () => running.rest.submit(talkativeJob(name), headers);
      const first = submit().catch(() => undefined);
      await randomly(15);
      process.kill(running.stack.children.api!.pid!, 'SIGKILL');
      const before = await first;
      const id = await eventually(
        () => submit().catch(() => undefined),
        () => 'the API did not come back',
      );
      if (before !== undefined) expect(id).toBe(before);
      await expectOnceAndWhole(running.rest, id, name);
    }
    const listed = (await (await running.rest.request('GET', '/jobs?all=true&name=accept-0')).json()) as unknown[];
    expect(listed).toHaveLength(1);
  });
});

describe('kill -9 of everything', () => {
  it('and a new start finds all jobs; those that run go on', async () => {
    const home = mkdtempSync(join(tmpdir(), 'prominence-test-'));
    chmodSync(home, 0o755);
    const sites = [{ type: 'local', name: 'local', workDirectory: join(home, 'site'), network: 'host' }];
    const storage = { kind: 'local', directory: join(home, 'objects') };
    writeFileSync(join(home, 'prominence.yaml'), JSON.stringify({ sites, storage }), { mode: 0o600 });
    const env = {
      ...process.env,
      PROMINENCE_HOME: home,
      PROMINENCE_PORT: String(await pickPort(undefined, new Set())),
    };
    let whole = await startAsUser(env);
    try {
      const rest = new Rest(whole.apiUrl, await tokenByCommand(env));
      await rest.upload('busybox.tar', readFileSync((await buildBusybox()).archive));
      const quiet = await rest.submit(shellJob('echo begun; until [ -e go ]; do sleep 0.1; done'));
      // A job runs from its image's pull on; only its output tells that the task itself has begun.
      await eventually(
        async () => ((await rest.output(quiet)) === 'begun\n' ? true : undefined),
        () => 'the quiet job did not begin',
      );
      const names = Array.from({ length: 4 }, (_, index) => `whole-${index}`);
      const ids: number[] = [];
      for (const name of names) ids.push(await rest.submit(talkativeJob(name)));
      await rest.until(ids[0]!, (job) => job.status === 'running');
      whole.process.kill('SIGKILL');
      for (const pid of childrenOf(home)) process.kill(pid, 'SIGKILL');
      // It ends while nobody of ours is there, and is told so.
      const run = join(runFolder({ configFile: join(home, 'prominence.yaml') }), `p-${quiet}.1.0`);
      writeFileSync(join(run, 'home/go'), '');
      await eventually(
        () => Promise.resolve(existsSync(join(run, 'tasks/0/exit.json')) ? true : undefined),
        () => 'the quiet job did not end',
      );
      const quietEnded = Date.now() / 1000;
      await pause(5000);
      whole = await startAsUser(env);
      const again = new Rest(whole.apiUrl, await tokenByCommand(env));
      for (const [index, id] of ids.entries()) await expectOnceAndWhole(again, id, names[index]!);
      expect((await again.ended(quiet)).events.endTime).toBeLessThanOrEqual(Math.ceil(quietEnded));
    } finally {
      await stop(whole.process);
      rmSync(home, { recursive: true, force: true });
    }
  }, 600_000);
});

interface StartedByUser {
  process: ChildProcess;
  apiUrl: string;
}

/** What `npm start` runs, without npm in between. */
async function startAsUser(env: NodeJS.ProcessEnv): Promise<StartedByUser> {
  const child = spawn(process.execPath, ['--import', 'tsx', 'scripts/start.ts'], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  try {
    const apiUrl = await eventually(
      () => Promise.resolve(/Ready after/.test(said) ? /API +(http:\S+)\/v1/.exec(said)?.[1] : undefined),
      () => `the stack did not start: ${said}`,
      120,
    );
    return { process: child, apiUrl };
  } catch (error) {
    await stop(child);
    throw error;
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}

function tokenByCommand(env: NodeJS.ProcessEnv): Promise<string> {
  const child = spawn(process.execPath, ['bin/prominence.mjs', 'token', '--user', 'ann'], { env });
  let token = '';
  child.stdout.on('data', (chunk: Buffer) => (token += chunk.toString()));
  return new Promise((resolve) => child.once('close', () => resolve(token.trim())));
}

function childrenOf(home: string): number[] {
  return readdirSync(join(home, 'pids')).flatMap((name) => {
    const pid = Number(/\d+/.exec(readFileSync(join(home, 'pids', name), 'utf8'))?.[0]);
    return pid > 0 ? [pid] : [];
  });
}
