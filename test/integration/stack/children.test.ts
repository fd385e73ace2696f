import { Connection } from '@temporalio/client';
import { readFileSync } from 'node:fs';
import postgres from 'postgres';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { databaseAccount, findAccount } from '../../../scripts/stack/account.ts';
import { isAlive, identify } from '../../../scripts/stack/process-identity.ts';
import { startStack, type ChildName, type Stack } from '../../../scripts/stack/stack.ts';
import { temporaryHome } from './temporary-home.ts';

const home = temporaryHome();
let stack: Stack;
beforeAll(async () => {
  stack = await startStack({ home, children: ['postgres', 'temporal'] });
});
afterAll(async () => {
  await stack?.stop();
});

const soon = { timeout: 60_000, interval: 100 };

async function query<T>(statement: string): Promise<T[]> {
  const sql = postgres(stack.databaseUrl, { max: 1, connect_timeout: 2, onnotice: () => undefined });
  try {
    return (await sql.unsafe(statement)) as unknown as T[];
  } finally {
    await sql.end({ timeout: 1 });
  }
}

async function withTemporal<T>(use: (connection: Connection) => Promise<T>): Promise<T> {
  const connection = await Connection.connect({ address: stack.temporalAddress, connectTimeout: '2s' });
  try {
    return await connection.withDeadline(Date.now() + 5000, () => use(connection));
  } finally {
    await connection.close();
  }
}

/** Kills as a crash would. @returns the pid of what was started in its place */
async function killAndAwaitAnother(name: ChildName): Promise<number> {
  const before = stack.children[name]?.pid;
  process.kill(before ?? 0, 'SIGKILL');
  return vi.waitFor(() => {
    const now = stack.children[name]?.pid;
    if (now === undefined || now === before) throw new Error(`${name} is not back`);
    return now;
  }, soon);
}

describe('PostgreSQL killed with SIGKILL', () => {
  it('comes back by itself with everything that was committed', async () => {
    await query('create table kept (word text)');
    await query("insert into kept values ('here')");
    await killAndAwaitAnother('postgres');
    await vi.waitFor(async () => expect(await query('select word from kept')).toEqual([{ word: 'here' }]), soon);
  });

  it('writes to the disk before it says so', async () => {
    expect(await query('show fsync')).toEqual([{ fsync: 'on' }]);
  });

  it('never runs as root, nor as the account that jobs run as', () => {
    const status = readFileSync(`/proc/${stack.children.postgres?.pid}/status`, 'utf8');
    const uid = Number(/^Uid:\s+(\d+)/m.exec(status)?.[1]);
    if (process.getuid?.() === 0) expect(uid).toBe(findAccount(databaseAccount)?.uid);
    else expect(uid).toBe(process.getuid?.());
    expect(uid).not.toBe(0);
  });
});

describe('the Temporal server killed with SIGKILL', () => {
  it('comes back by itself with its workflows, ids of 255 characters and search attributes', async () => {
    const workflowId = 'w'.repeat(255);
    const start = () =>
      withTemporal(({ workflowService }) =>
        workflowService.startWorkflowExecution({
          namespace: 'default',
          workflowId,
          workflowType: { name: 'nobodyRunsThis' },
          taskQueue: { name: 'nobody-listens' },
          // The same one, however often it is sent.
          requestId: 'one',
        }),
      );
    await vi.waitFor(start, soon);
    await killAndAwaitAnother('temporal');
    await vi.waitFor(async () => {
      const found = await withTemporal(({ workflowService }) =>
        workflowService.describeWorkflowExecution({ namespace: 'default', execution: { workflowId } }),
      );
      expect(found.workflowExecutionInfo?.type?.name).toBe('nobodyRunsThis');
    }, soon);
    await vi.waitFor(async () => {
      const attributes = await withTemporal(({ operatorService }) =>
        operatorService.listSearchAttributes({ namespace: 'default' }),
      );
      expect(Object.keys(attributes.customAttributes ?? {})).toEqual(
        expect.arrayContaining(['JobId', 'Owner', 'Labels']),
      );
    }, soon);
  });

  it('serves its web page', async () => {
    await vi.waitFor(async () => expect((await fetch(stack.temporalUiUrl)).status).toBe(200), soon);
  });
});

describe('a stack that is stopped and started again', () => {
  it('leaves no process, and finds its data on the same ports', async () => {
    const { databaseUrl, temporalAddress, children } = stack;
    const processes = Object.values(children).map((child) => identify(child?.pid ?? 0));
    await stack.stop();
    expect(processes.map((each) => each !== undefined && isAlive(each))).toEqual([false, false]);
    stack = await startStack({ home, children: ['postgres', 'temporal'] });
    expect(stack).toMatchObject({ databaseUrl, temporalAddress });
    expect(await query('select word from kept')).toEqual([{ word: 'here' }]);
  });

  it('does not start children again once it is stopped', async () => {
    await stack.stop();
    await sleep(300);
    expect(Object.values(stack.children).map((child) => child?.pid)).toEqual([undefined, undefined]);
  });
});
