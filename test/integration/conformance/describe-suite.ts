/** `prominence describe`: the order of its keys and what they hold; `-i`, and that its text is a description again. */
import { expect, it } from 'vitest';
import { newGate } from '../../ground/gates.ts';
import { shellJob } from '../../ground/running-stack.ts';
import { createdId, refusal, success, type Ground, type User } from './ground.ts';

const moment = /^20\d\d-\d\d-\d\d \d\d:\d\d:\d\d$/;
const signedUrl = /^http:\/\/127\.0\.0\.1:\d+\/\S+$/;

/** What can't be known beforehand is taken from what was shown, once it looks as it must. */
function shownAs<T>(value: T, pattern: RegExp): T {
  expect(String(value)).toMatch(pattern);
  return value;
}

async function described(user: User, id: number, ...words: string[]) {
  const { exitCode, stdout, stderr } = await user.client.run('describe', ...words, `${id}`);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  return JSON.parse(stdout) as Described;
}

/** As the client prints it. */
interface Described {
  events: Record<string, string>;
  execution: Record<string, unknown> & { tasks: Record<string, unknown>[] };
  outputFiles: { url: string }[];
  outputDirs: { url: string; size: number }[];
  tasks: Record<string, unknown>[];
  [more: string]: unknown;
}

/** Also the order of keys is compared. */
function expectExactly(shown: unknown, expected: unknown): void {
  expect(JSON.stringify(shown, null, 2)).toBe(JSON.stringify(expected, null, 2));
}

const full = {
  name: 'a/full one',
  labels: { app: 'pi' },
  resources: { nodes: 1, cpus: 1, memory: 1.5, disk: 2, walltime: 20 },
  inputs: [{ filename: 'in.txt', content: Buffer.from('in\n').toString('base64') }],
  policies: { maximumTaskRetries: 1, priority: 3 },
  outputFiles: ['out.txt', 'deep/other.txt'],
  outputDirs: ['plots'],
};

export function describeTests(ground: () => Ground): void {
  it('shows a finished job with all it has, in the client’s order', async () => {
    const user = await ground().newUser('describe-full');
    await user.rest.upload('words.txt', Buffer.from('w'));
    const artifacts = [{ url: 'words.txt' }];
    // Long enough for its memory to be looked at.
    const submitted = shellJob('cat in.txt > out.txt; mkdir plots deep; echo 1 > deep/other.txt; sleep 3', {
      ...full,
      artifacts,
    });
    const id = await user.rest.submit(submitted);
    await user.rest.ended(id);
    const shown = await described(user, id);
    const { execution } = shown;
    const [task] = execution.tasks;
    const cpu = execution['cpu'] as Record<string, string>;
    const provisioned = execution['provisionedResources'];
    expect(cpu).toEqual({
      vendor: expect.stringMatching(/\w/) as string,
      model: expect.stringMatching(/\w/) as string,
      clock: expect.stringMatching(/^[\d.]+$/) as string,
    });
    expect(provisioned).toEqual({ cpus: 1, memory: 2, disk: 2, nodes: 1 });
    expectExactly(shown, {
      id,
      name: 'a/full one',
      status: 'completed',
      resources: full.resources,
      labels: full.labels,
      artifacts,
      outputFiles: [
        { name: 'out.txt', url: shownAs(shown.outputFiles[0]!.url, signedUrl), size: 3 },
        { name: 'deep/other.txt', url: shownAs(shown.outputFiles[1]!.url, signedUrl), size: 2 },
      ],
      outputDirs: [
        {
          name: 'plots',
          url: shownAs(shown.outputDirs[0]!.url, signedUrl),
          size: shownAs(shown.outputDirs[0]!.size, /^\d+$/),
        },
      ],
      tasks: submitted['tasks'],
      policies: full.policies,
      events: {
        createTime: shownAs(shown.events['createTime'], moment),
        startTime: shownAs(shown.events['startTime'], moment),
        endTime: shownAs(shown.events['endTime'], moment),
      },
      execution: {
        site: 'local',
        provisionedResources: provisioned,
        cpu,
        runtimeVersion: {
          singularity: shownAs((execution['runtimeVersion'] as { singularity: string }).singularity, /^\d+\.\d+\.\d+/),
        },
        maxMemoryUsageKB: shownAs(execution['maxMemoryUsageKB'], /^\d+$/),
        stageInTime: shownAs(execution['stageInTime'], /^[\d.]+$/),
        stageOutTime: shownAs(execution['stageOutTime'], /^[\d.]+$/),
        tasks: [
          {
            exitCode: 0,
            retries: 0,
            ...('imagePullTime' in task! ? { imagePullTime: shownAs(task['imagePullTime'], /^[\d.]+$/) } : {}),
            imageSha256: shownAs(task!['imageSha256'], /^[0-9a-f]{64}$/),
            wallTimeUsage: shownAs(task!['wallTimeUsage'], /^[\d.]+$/),
            cpuTimeUsage: shownAs(task!['cpuTimeUsage'], /^[\d.]+$/),
            maxResidentSetSizeKB: shownAs(task!['maxResidentSetSizeKB'], /^\d+$/),
          },
        ],
      },
    });
    expect(await (await fetch(shown.outputFiles[0]!.url)).text()).toBe('in\n');
  });

  it('shows a job that runs and one that was deleted', async () => {
    const user = await ground().newUser('describe-stages');
    const gate = newGate(user.rest);
    const submitted = shellJob(gate.line, { name: '', outputFiles: ['x'], outputDirs: ['y'] });
    const id = await user.rest.submit(submitted);
    await user.rest.until(id, (job) => job.status === 'running');
    const shown = await described(user, id);
    expectExactly(
      { ...shown, execution: undefined },
      {
        id,
        status: 'running',
        resources: submitted['resources'],
        outputFiles: [{ name: 'x', url: '' }],
        outputDirs: [{ name: 'y', url: '' }],
        tasks: submitted['tasks'],
        events: {
          createTime: shownAs(shown.events['createTime'], moment),
          startTime: shownAs(shown.events['startTime'], moment),
        },
      },
    );
    expect(shown.execution).toMatchObject({ site: 'local', tasks: [] });
    expect(await user.client.run('delete', `${id}`)).toEqual(success('Success\n'));
    await user.rest.ended(id);
    const deleted = await described(user, id);
    expect(Object.keys(deleted).slice(0, 3)).toEqual(['id', 'status', 'statusReason']);
    expect(deleted).toMatchObject({ status: 'deleted', statusReason: 'Job deleted by user' });
  });

  it('gives with -i what was submitted, which can be submitted again', async () => {
    const user = await ground().newUser('describe-input');
    await user.rest.upload('words.txt', Buffer.from('w'));
    const submitted = shellJob('cat in.txt > out.txt; mkdir plots deep; echo 1 > deep/other.txt', {
      ...full,
      artifacts: [{ url: 'words.txt', mountpoint: 'w:/w' }],
    });
    const id = await user.rest.submit(submitted);
    await user.rest.ended(id);
    const { exitCode, stdout } = await user.client.run('describe', '-i', `${id}`);
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toEqual(submitted);
    user.client.write('again.json', stdout);
    const again = createdId(await user.client.run('run', 'again.json'));
    expect(await user.rest.ended(again)).toMatchObject({ status: 'completed', name: 'a/full one' });
  });

  it('gives with -i of a failed job a description that is accepted, though it tells the reason', async () => {
    const user = await ground().newUser('describe-failed');
    const id = await user.rest.submit(shellJob('true', { outputFiles: ['missing'] }));
    await user.rest.ended(id);
    const shown = await described(user, id);
    expect(shown['statusReason']).toBe('Stageout failed due to no such file or directory');
    const { stdout } = await user.client.run('describe', '-i', 'job', `${id}`);
    expect(JSON.parse(stdout)).toMatchObject({ statusReason: shown['statusReason'], outputFiles: ['missing'] });
    user.client.write('again.json', stdout);
    const again = createdId(await user.client.run('run', 'again.json'));
    await user.rest.ended(again);
    expect(await described(user, again)).toMatchObject({ statusReason: shown['statusReason'] });
  });

  it('shows no credentials', async () => {
    const user = await ground().newUser('describe-secret');
    const task = { image: 'busybox.tar', runtime: 'singularity', cmd: 'true' };
    const imagePullCredential = { username: 'u', token: 'a-secret' };
    const id = await user.rest.submit(shellJob('', { tasks: [{ ...task, imagePullCredential }] }));
    const shown = await described(user, id);
    expect(shown.tasks).toEqual([{ ...task, imagePullCredential: { username: 'u', token: '***' } }]);
    await user.rest.ended(id);
  });

  it('knows no jobs of others, and none that never were', async () => {
    const { rest } = await ground().newUser('describe-owner');
    const { client } = await ground().newUser('describe-other');
    const id = await rest.submit(shellJob('true'));
    for (const unknown of [`${id}`, '123456789', '99999999999']) {
      expect(await client.run('describe', unknown)).toEqual(refusal('No such job'));
      expect(await client.run('describe', '-i', unknown)).toEqual(refusal('No such job'));
    }
    await rest.ended(id);
  });
}
