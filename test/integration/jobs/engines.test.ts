/** Jobs at a site where podman runs what they call singularity, on the whole stack. */
import { rmSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { endPodman, podmanGround, type EngineGround } from '../../ground/engines.ts';
import { processesIn, processesWith } from '../../ground/processes.ts';
import { eventually, type Rest } from '../../ground/rest.ts';
import { runningStack, shellJob, shellTask, type RunningStack } from '../../ground/running-stack.ts';

let ground: EngineGround;
let running: RunningStack;
let rest: Rest;
const workDirectory = `/var/tmp/prominence-test-engines-${process.pid}`;
const path = process.env['PATH'];

beforeAll(async () => {
  ground = podmanGround('prominence');
  process.env['PATH'] = `${ground.binDirectory}:${path}`;
  const site = { type: 'local', cpus: 2, memoryGb: 4, diskGb: 10 } as const;
  running = await runningStack({
    execution: { killGraceSeconds: 1 },
    sites: [{ ...site, name: 'pods', workDirectory, runtimes: { singularity: 'podman', udocker: 'docker' } }],
  });
  rest = running.rest;
});
afterAll(async () => {
  process.env['PATH'] = path;
  await running?.stop();
  await ground?.close();
  endPodman(workDirectory);
  rmSync(workDirectory, { recursive: true, force: true });
});

const gone = (word: string, find = processesWith) =>
  eventually(
    () => Promise.resolve(find(word).length === 0 ? true : undefined),
    () => `${find(word).join('\n')} goes on`,
  );

it('a job with storage of its own is not placed where containers might not see the mount', async () => {
  const storage = {
    type: 'webdav',
    mountpoint: '/data',
    webdav: { url: 'http://127.0.0.1/', username: 'a', password: 'b' },
  };
  const id = await rest.submit(shellJob('true', { storage }));
  expect(await rest.ended(id)).toMatchObject({
    status: 'failed',
    statusReason: 'No matching resources',
    statusDetail: expect.stringContaining('webdav mounts') as string,
  });
});

it('a job says what ran it, with its tasks, sidecars, their output and what they used', async () => {
  const id = await rest.submit(
    shellJob('', {
      tasks: [
        shellTask('echo sidecar >from-sidecar; sleep 5871', { type: 'sidecar' }),
        shellTask('until test -e from-sidecar; do sleep 0.1; done; echo one; id -u >uid', { stdout: 'first.txt' }),
        shellTask('cat first.txt from-sidecar; echo $PROMINENCE_CONTAINER_RUNTIME; test $(cat uid) != 0'),
      ],
      outputFiles: ['first.txt'],
    }),
  );
  const job = await rest.ended(id, 120);
  expect(job).toMatchObject({
    status: 'completed',
    outputFiles: [{ name: 'first.txt', size: 4 }],
    execution: {
      runtimeVersion: { singularity: expect.stringMatching(/^podman \d+\.\d+/) as string },
      tasks: [{ exitCode: 0 }, { exitCode: 0, cpuTimeUsage: expect.any(Number) as number }],
    },
  });
  expect(await rest.output(id)).toBe('one\none\nsidecar\nsingularity\n');
  expect(await rest.output(id, 'stderr')).toBe('');
  await gone('sleep 5871');
});

it('a job that takes too much memory is killed', async () => {
  // Of a size that nobody else's has.
  const bytes = `bs=${1_500_000_000 + process.pid}`;
  const id = await rest.submit(shellJob(`dd if=/dev/zero of=/dev/null ${bytes} count=1000000`));
  expect(await rest.ended(id, 120)).toMatchObject({ status: 'killed' });
  await gone(bytes);
});

it('a job runs commands beside it, and leaves nothing when it is deleted', async () => {
  const id = await rest.submit(shellJob('echo kept >file; echo up; (setsid sleep 5873 &); sleep 5874'));
  const isUp = async () => ((await rest.output(id)) === 'up\n' ? true : undefined);
  await eventually(isUp, () => 'the job did not begin');
  const answer = await rest.request('POST', `/jobs/${id}/exec`, { command: ['cat', 'file'] });
  expect([answer.status, await answer.text()]).toEqual([200, 'kept\n']);
  await rest.request('DELETE', `/jobs/${id}`);
  expect(await rest.ended(id, 120)).toMatchObject({ status: 'deleted' });
  expect(processesWith('sleep 587')).toEqual([]);
  await gone(`-${id}.1.0`, (word) => processesIn(workDirectory, word));
});

it('a job that needs what the site can not do is refused with the reason', async () => {
  const apps = shellJob('', { tasks: [shellTask('x', { app: 'greet' })] });
  expect(await rest.ended(await rest.submit(apps), 60)).toMatchObject({
    status: 'failed',
    statusDetail: expect.stringContaining('no machine that may run it has apps of images') as string,
  });
  const other = shellJob('', { tasks: [shellTask('true', { runtime: 'udocker' })] });
  expect(await rest.ended(await rest.submit(other), 60)).toMatchObject({
    status: 'failed',
    statusDetail: expect.stringMatching(/no machine that may run it has udocker \(.*docker/) as string,
  });
});
