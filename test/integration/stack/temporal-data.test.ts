/** What the embedded Temporal may lose: nothing when it is killed, and what it lost in a power cut is told to it again. */
import { chmodSync, cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runOrThrow } from '../../../scripts/command.ts';
import { thisMachine } from '../../../scripts/machine.ts';
import { startStack, type Stack } from '../../../scripts/stack/stack.ts';
import { buildBusybox } from '../../ground/images.ts';
import { Rest } from '../../ground/rest.ts';
import { shellJob, shellTask } from '../../ground/running-stack.ts';

let home: string;
let stack: Stack;
let rest: Rest;
const messages: string[] = [];
const up = async () => {
  stack = await startStack({ home, log: (message) => void messages.push(message) });
  rest = new Rest(stack.apiUrl, await stack.token('ann'));
};
beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'prominence-test-'));
  chmodSync(home, 0o755);
  await up();
  await rest.upload('busybox.tar', readFileSync((await buildBusybox()).archive));
});
afterAll(async () => {
  await stack?.stop();
  rmSync(home, { recursive: true, force: true });
});

it('is killed again and again amid jobs, and nothing is lost', async () => {
  expect(existsSync(join(home, 'temporal', 'temporal.db-wal'))).toBe(true);
  const ids: number[] = [];
  for (let round = 0; round < 3; round += 1) {
    for (let job = 0; job < 8; job += 1) ids.push(await rest.submit(shellJob(`sleep 0.${job}; exit ${round}`)));
    await pause(1500);
    process.kill(stack.children.temporal!.pid!, 'SIGKILL');
  }
  for (const [index, id] of ids.entries()) {
    const job = await rest.ended(id, 120);
    expect([job.status, job.execution.tasks[0]?.exitCode]).toEqual(['completed', Math.floor(index / 8)]);
  }
});

it('has forgotten the last moments before a power cut, and all goes on', async () => {
  const whole = { nodes: 1, cpus: cpus().length, memory: 1, disk: 1 };
  const blocker = await rest.submit(shellJob('while true; do sleep 0.2; done', { resources: whole }));
  await rest.until(blocker, ({ status }) => status === 'running');
  // What it knows of this one is that it waits.
  const waiting = await rest.submit(shellJob('sleep 2; echo placed', { resources: whole }));
  await rest.until(waiting, ({ statusReason }) => statusReason !== undefined);
  const sweep = await submitted({ ...workflow('waits'), factories: [zip('one')] });
  await rest.until(sweep + 1, ({ statusReason }) => statusReason !== undefined);
  const kept = mkdtempSync(join(tmpdir(), 'prominence-kept-'));
  await stack.stop();
  cpSync(join(home, 'temporal'), kept, { recursive: true });
  await up();

  // All this it will know nothing of.
  await rest.request('DELETE', `/jobs/${blocker}`);
  await rest.until(waiting, ({ status }) => status !== 'pending');
  const late = await rest.submit(shellJob('echo late'));
  const deleted = await rest.submit(shellJob('echo never', { resources: whole }));
  await rest.request('DELETE', `/jobs/${deleted}`);
  const later = await submitted(workflow('later'));
  await pause(1500);
  await stack.stop();
  rmSync(join(home, 'temporal'), { recursive: true });
  cpSync(kept, join(home, 'temporal'), { recursive: true });
  rmSync(kept, { recursive: true });
  writeFileSync(join(home, 'temporal', 'boot-id'), 'another');
  await up();

  expect(messages.join('\n')).toMatch(/the machine was started anew: \d+ messages are sent to Temporal again/);
  expect((await rest.ended(waiting, 120)).status).toBe('completed');
  expect(await rest.output(waiting)).toBe('placed\n');
  expect((await rest.ended(late, 120)).status).toBe('completed');
  expect((await rest.ended(deleted, 120)).status).toBe('deleted');
  for (const id of [sweep, later]) {
    await expect.poll(() => statusOf(id), { timeout: 120_000, interval: 300 }).toBe('completed');
  }
});

it('has lost all, and an operator sends it what is open', async () => {
  const whole = { nodes: 1, cpus: cpus().length, memory: 1, disk: 1 };
  const running = await rest.submit(shellJob('sleep 8; echo went on', { resources: whole }));
  await rest.until(running, ({ status }) => status === 'running');
  const waiting = await rest.submit(shellJob('echo had its turn', { resources: whole }));
  const later = await submitted(workflow('after all'));
  await rest.until(waiting, ({ statusReason }) => statusReason !== undefined);
  await stack.stop();
  rmSync(join(home, 'temporal'), { recursive: true });
  await up();
  const command = join(thisMachine().repository, 'bin/prominence.mjs');
  const { stdout } = await runOrThrow(process.execPath, [command, 'resend'], {
    env: { ...process.env, PROMINENCE_HOME: home },
  });
  expect(stdout).toMatch(/^messages that are being sent again: \d+\n$/);
  for (const [id, output] of [
    [running, 'went on\n'],
    [waiting, 'had its turn\n'],
  ] as const) {
    expect(await rest.ended(id, 120)).toMatchObject({ status: 'completed' });
    expect(await rest.output(id)).toBe(output);
  }
  await expect.poll(() => statusOf(later), { timeout: 120_000, interval: 300 }).toBe('completed');
});

const workflow = (name: string) => ({
  name,
  jobs: [
    { name: 'one', resources: { nodes: 1, cpus: 1, memory: 1, disk: 1 }, tasks: [shellTask('echo $x')] },
    { name: 'two', resources: { nodes: 1, cpus: 1, memory: 1, disk: 1 }, tasks: [shellTask('echo 2')] },
  ],
  dependencies: { one: ['two'] },
});
const zip = (job: string) => ({
  type: 'zip',
  jobs: [job],
  name: 'xs',
  parameters: [{ name: 'x', values: [1, 2, 3, 4] }],
});

async function submitted(description: object): Promise<number> {
  const response = await rest.request('POST', '/workflows', description);
  const answer = (await response.json()) as { id?: number };
  if (answer.id === undefined) throw new Error(JSON.stringify(answer));
  return answer.id;
}

async function statusOf(id: number): Promise<string | undefined> {
  const [found] = (await (await rest.request('GET', `/workflows/${id}`)).json()) as { status?: string }[];
  return found?.status;
}
