/** Jobs with storage of their own, on the whole stack. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync, existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildBusybox } from '../../ground/images.ts';
import { processesWith } from '../../ground/processes.ts';
import { eventually, type Rest } from '../../ground/rest.ts';
import { runDirectories } from '../../ground/run-directories.ts';
import { runningStack, shellJob, shellTask, type RunningStack } from '../../ground/running-stack.ts';
import { startWebdav, type WebdavServer } from '../../ground/webdav.ts';

let running: RunningStack;
let rest: Rest;
let server: WebdavServer;

beforeAll(async () => {
  [running, server] = await Promise.all([
    runningStack({ execution: { killGraceSeconds: 1, storagePatienceSeconds: 15 } }),
    startWebdav(),
  ]);
  rest = running.rest;
});
afterAll(async () => {
  await running?.stop();
  await server?.stop();
});

const webdav = ({ url, username, password } = server, more: Record<string, unknown> = {}) => ({
  type: 'webdav',
  mountpoint: '/data',
  webdav: { url, username, password },
  ...more,
});
const stored = (path: string) => readFileSync(join(server.folder, path), 'utf8');
const home = () => dirname(running.stack.configFile);
const mountsBelow = () =>
  readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => line.includes(`${home()}/`));
const said = (id: number, words: string) =>
  eventually(
    async () => ((await rest.output(id)).includes(words) ? true : undefined),
    () => `job ${id} did not say ${words}`,
  );
const nothingIsLeft = () =>
  eventually(
    () =>
      Promise.resolve(
        mountsBelow().length +
          processesWith(`rclone mount`).filter((line) => line.includes(home())).length +
          runDirectories(running.stack).length ===
          0
          ? true
          : undefined,
      ),
    () => `left: ${mountsBelow().join()} ${runDirectories(running.stack).join()}`,
    120,
  );

describe('a job with storage', () => {
  it('reads and writes it in every task and in commands beside them, and nobody sees the password', async () => {
    mkdirSync(join(server.folder, 'project'));
    writeFileSync(join(server.folder, 'project/in.txt'), 'in\n');
    const id = await rest.submit(
      shellJob('', {
        storage: webdav(server, { directory: 'project' }),
        tasks: [
          shellTask('cat /data/in.txt; echo one > /data/out.txt'),
          shellTask('echo two >> /data/out.txt; echo ready; while [ ! -e /data/go ]; do sleep 0.1; done'),
        ],
      }),
    );
    await said(id, 'ready');
    const seen = await rest.request('POST', `/jobs/${id}/exec`, { command: ['cat', '/data/out.txt'] });
    expect(await seen.text()).toBe('one\ntwo\n');
    expect((await rest.describe(id))['storage']).toEqual({
      type: 'webdav',
      mountpoint: '/data',
      directory: 'project',
      webdav: { url: server.url, username: '***', password: '***' },
    });
    // While all of it is in use: neither a file of ours holds it, logs and database included, nor a command line.
    expect(filesWith(server.password.slice(-12))).toBe('');
    expect(filesWith(server.url)).not.toBe('');
    expect(processesWith(server.password.slice(-12)).filter((line) => !line.startsWith('grep '))).toEqual([]);
    await rest.request('POST', `/jobs/${id}/exec`, { command: ['touch', '/data/go'] });
    expect(await rest.ended(id, 120)).toMatchObject({
      status: 'completed',
      execution: { tasks: [{ exitCode: 0 }, { exitCode: 0 }] },
    });
    expect(stored('project/out.txt')).toBe('one\ntwo\n');
    await nothingIsLeft();
  });

  it('takes images, artifacts and the room for outputs from it when it is the default', async () => {
    mkdirSync(join(server.folder, 'images'));
    writeFileSync(join(server.folder, 'images/own.tar'), readFileSync((await buildBusybox()).archive));
    writeFileSync(join(server.folder, 'words.txt'), 'words\n');
    const id = await rest.submit(
      shellJob('', {
        storage: webdav(server, { mountpoint: '', default: true }),
        artifacts: [{ url: 'words.txt' }],
        tasks: [shellTask('mkdir -p made; cat words.txt > made/copy.txt; ls /data', { image: '/images/own.tar' })],
        outputFiles: ['made/copy.txt'],
        outputDirs: ['made'],
      }),
    );
    const job = await rest.ended(id, 120);
    expect(job).toMatchObject({
      status: 'completed',
      outputFiles: [{ name: 'made/copy.txt', url: '' }],
      outputDirs: [{ name: 'made', url: '' }],
      execution: { tasks: [{ imagePullStatus: 'completed', exitCode: 1 }] },
    });
    expect(stored('made/copy.txt')).toBe('words\n');
    expect(existsSync(join(server.folder, 'made.tgz'))).toBe(true);
  });

  it('fails when it can not be mounted, after the retries of the user, and says why', async () => {
    const wrong = webdav({ ...server, password: 'guessed' });
    const id = await rest.submit(shellJob('echo never', { storage: wrong, policies: { maximumRetries: 1 } }));
    const job = await rest.ended(id, 120);
    expect(job).toMatchObject({
      status: 'failed',
      statusReason: 'Unable to mount storage volume',
      statusDetail: 'the storage refused the user name or the password (401)',
      execution: { retries: 1, tasks: [] },
    });
    expect(JSON.stringify(job)).not.toContain('guessed');
  });

  it('is refused at once where no machine can mount it', async () => {
    const onedata = { type: 'onedata', mountpoint: '/data', onedata: { provider: 'p.example.org', token: 'T' } };
    const id = await rest.submit(shellJob('true', { storage: onedata }));
    expect(await rest.ended(id, 120)).toMatchObject({
      status: 'failed',
      statusReason: 'No matching resources',
      statusDetail: 'no machine that may run it has onedata mounts',
    });
  });

  it('keeps it when our worker dies, and has delivered what it wrote when it is deleted', async () => {
    const line = 'echo first > /data/first.txt; echo begun; while [ ! -e /data/on ]; do sleep 0.1; done';
    const id = await rest.submit(
      shellJob(`${line}; echo second > /data/second.txt; echo further; sleep 100`, { storage: webdav() }),
    );
    await said(id, 'begun');
    const [before] = mountsBelow();
    const { pid } = running.stack.children.worker!;
    process.kill(pid!, 'SIGKILL');
    await eventually(
      () => Promise.resolve(running.stack.children.worker!.pid !== pid ? true : undefined),
      () => 'the worker was not started again',
    );
    writeFileSync(join(server.folder, 'on'), '');
    await said(id, 'further');
    // The new worker looked at the machine while the storage was mounted there.
    const seen = await rest.request('POST', `/jobs/${id}/exec`, { command: ['cat', '/data/second.txt'] });
    expect(await seen.text()).toBe('second\n');
    expect(mountsBelow()).toEqual([before]);
    await rest.request('DELETE', `/jobs/${id}`);
    expect(await rest.ended(id, 120)).toMatchObject({ status: 'deleted' });
    expect([stored('first.txt'), stored('second.txt')]).toEqual(['first\n', 'second\n']);
    await nothingIsLeft();
  });

  it('fails when the storage is gone before it took everything, and leaves nothing', async () => {
    const own = await startWebdav();
    const line = 'exec 4>/data/lost.txt; echo begun; while [ ! -e go ]; do sleep 0.1; done; echo lost >&4';
    const id = await rest.submit(shellJob(line, { storage: webdav(own) }));
    await said(id, 'begun');
    await own.stop();
    const touched = await rest.request('POST', `/jobs/${id}/exec`, { command: ['touch', 'go'] });
    expect(await touched.text()).toBe('');
    expect(await rest.ended(id, 120)).toMatchObject({
      status: 'failed',
      statusReason: 'Unable to stageout output to object storage',
      statusDetail: expect.stringContaining('did not take 1 of the files') as string,
      execution: { tasks: [{ exitCode: 0 }] },
    });
    await nothingIsLeft();
  });
});

/** Of the stack's own folder. What is mounted there is closed to us, whoever we are. */
function filesWith(word: string): string {
  try {
    return execFileSync('grep', ['-rlsaF', '--devices=skip', '-f', '-', home()], { input: word, encoding: 'utf8' });
  } catch (error) {
    // 1: nowhere; 2: something could not be read.
    const { stdout, status } = error as { stdout: string; status: number };
    if (status > 2) throw error;
    return stdout;
  }
}
