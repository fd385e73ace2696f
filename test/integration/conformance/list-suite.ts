/** `prominence list`: which jobs it shows, and its table to the letter. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { newGate } from '../../ground/gates.ts';
import { shellJob } from '../../ground/running-stack.ts';
import { refusal, siteCpus, success, type Ground, type User } from './ground.ts';

/** Words after `list`, and the jobs to be shown, by their keys in `Jobs`. */
const lists: [words: string, jobs: string][] = [
  ['', 'kept running waiting fromWeb'],
  ['jobs', 'kept running waiting fromWeb'],
  ['-r', 'running'],
  ['--running', 'running'],
  ['-i', 'waiting fromWeb'],
  ['--idle', 'waiting fromWeb'],
  ['-a', 'done kept failed running waiting fromWeb'],
  ['--all', 'done kept failed running waiting fromWeb'],
  ['--completed', 'failed'],
  ['--completed --last 2', 'kept failed'],
  ['--completed -n 9', 'done kept failed'],
  ['--constraint app=pi', 'kept'],
  ['-a --constraint app=pi', 'done kept'],
  ['-a --constraint app=pi --constraint run=1', 'done'],
  ['-a --constraint app=p', ''],
  ['--name a/running', 'running'],
  ['--name a/run', ''],
  ['-a --name done', 'done'],
];

export function listTests(ground: () => Ground): void {
  let jobs: Jobs;

  beforeAll(async () => {
    jobs = await fillTheMachine(ground());
  });
  afterAll(() => jobs?.clear());

  it('shows an empty table to who has no jobs', async () => {
    const { client } = await ground().newUser('list-nobody');
    const header = 'ID   NAME   CREATED               STATUS   ELAPSED      IMAGE   CMD\n';
    for (const words of [[], ['-a'], ['--completed']]) {
      expect(await client.run('list', ...words)).toEqual(success(header));
    }
  });

  it('shows the queue, what runs, what waits, what ended, what has a label and what has a name', async () => {
    await inPairs(lists, async ([words, shown]) => {
      const { exitCode, stdout, stderr } = await jobs.user.client.run('list', ...words.split(' ').filter(Boolean));
      expect({ words, exitCode, stderr }).toEqual({ words, exitCode: 0, stderr: '' });
      const rows = shown.split(' ').filter(Boolean);
      expect(withoutTimes(stdout)).toBe(table(rows.map((key) => jobs.rows[key]!)));
    });
  });

  it('refuses a constraint that is none', async () => {
    expect(await jobs.user.client.run('list', '--constraint', 'app')).toEqual(refusal('Invalid constraint'));
  });

  it('goes with a describe that tells why a job waits', async () => {
    const [waiting] = jobs.rows['waiting']!;
    const { stdout } = await jobs.user.client.run('describe', `${waiting}`);
    const described = JSON.parse(stdout) as { events: object };
    expect(Object.keys(described)).toEqual(['id', 'status', 'statusReason', 'resources', 'tasks', 'events']);
    expect(described).toMatchObject({ status: 'pending', statusReason: 'No matching resources currently available' });
    expect(Object.keys(described.events)).toEqual(['createTime']);
  });
}

interface Jobs {
  user: User;
  rows: Record<string, Row>;
  /** Ends what goes on. */
  clear(): Promise<void>;
}

async function fillTheMachine({ newUser }: Ground): Promise<Jobs> {
  const user = await newUser('list-many');
  const { rest } = user;
  const submit = (cmd: string, more: Record<string, unknown> = {}, image = 'busybox.tar') =>
    rest.submit(
      shellJob('', { name: '', ...more, tasks: [{ image, runtime: 'singularity', ...(cmd ? { cmd } : {}) }] }),
    );
  const done = await submit('true', { name: 'done', labels: { app: 'pi', run: '1' } });
  const kept = await submit('true', { name: 'kept', labels: { app: 'pi' }, policies: { leaveInQueue: true } });
  const failed = await submit('', { name: 'failed', outputFiles: ['nowhere'] });
  for (const id of [done, kept, failed]) await rest.ended(id);

  const wait = `/bin/sh -c '${newGate(rest).line}'`;
  const resources = { nodes: 1, cpus: siteCpus, memory: 1, disk: 1 };
  const running = await submit(wait, { name: 'a/running', resources });
  await rest.until(running, (job) => job.status === 'running');
  const waiting = await submit(`echo ${'x'.repeat(120)}`);
  const fromWeb = await submit('x'.repeat(100), {}, 'http://127.0.0.1:1/images/tool.sif?key=1');
  return {
    user,
    rows: {
      done: [done, 'done', 'completed', true, 'busybox.tar', 'true'],
      kept: [kept, 'kept', 'completed', true, 'busybox.tar', 'true'],
      failed: [failed, 'failed', 'failed', true, 'busybox.tar', ''],
      running: [running, 'a/running', 'running', true, 'busybox.tar', `${wait.slice(0, 100)}...`],
      waiting: [waiting, '', 'pending', false, 'busybox.tar', `echo ${'x'.repeat(95)}...`],
      fromWeb: [fromWeb, '', 'pending', false, 'tool.sif', 'x'.repeat(100)],
    },
    async clear() {
      const unfinished = [running, waiting, fromWeb];
      await rest.request('DELETE', `/jobs?id=${unfinished.join(',')}`);
      for (const id of unfinished) await rest.ended(id);
    },
  };
}

type Row = [id: number, name: string, status: string, hasRun: boolean, image: string, cmd: string];

const columns: [title: string, leastWidth: number][] = [
  ['ID', 2],
  ['NAME', 4],
  ['CREATED', 19],
  ['STATUS', 6],
  ['ELAPSED', 10],
  ['IMAGE', 5],
  ['CMD', 3],
];

/** Blanks to the width of each column, also in the last one; three between columns. */
function table(rows: Row[]): string {
  const cells = rows.map(([id, name, status, hasRun, image, cmd]) => [
    String(id),
    name,
    'YYYY-MM-DD HH:MM:SS',
    status,
    hasRun ? 'D+HH:MM:SS' : '',
    image,
    cmd,
  ]);
  const widths = columns.map(([, least], i) => Math.max(least, ...cells.map((row) => row[i]!.length)));
  const printed = (row: string[]) => `${row.map((cell, i) => cell.padEnd(widths[i]!)).join('   ')}\n`;
  return [columns.map(([title]) => title), ...cells].map(printed).join('');
}

function withoutTimes(text: string): string {
  return text
    .replace(/\b20\d\d-\d\d-\d\d \d\d:\d\d:\d\d\b/g, 'YYYY-MM-DD HH:MM:SS')
    .replace(/\b\d\+\d\d:\d\d:\d\d\b/g, 'D+HH:MM:SS');
}

async function inPairs<T>(items: T[], use: (item: T) => Promise<void>): Promise<void> {
  for (let i = 0; i < items.length; i += 2) await Promise.all(items.slice(i, i + 2).map(use));
}
