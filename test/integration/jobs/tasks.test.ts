/** What a job can say about its tasks beyond a command, on the whole stack. */
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findApptainer } from '../../../scripts/components/apptainer.ts';
import { thisMachine } from '../../../scripts/machine.ts';
import { buildBusybox, buildSifWithApp } from '../../ground/images.ts';
import { processesWith } from '../../ground/processes.ts';
import { eventually, type Rest } from '../../ground/rest.ts';
import { runningStack, shellJob, shellTask, type RunningStack } from '../../ground/running-stack.ts';

let running: RunningStack;
let rest: Rest;

beforeAll(async () => {
  running = await runningStack({ execution: { killGraceSeconds: 2 } });
  rest = running.rest;
});
afterAll(() => running?.stop());

const fetched = async (url: string) => (await fetch(url)).text();

describe('stdout of a task', () => {
  it('is appended to its file, which later tasks read and the job delivers', async () => {
    const id = await rest.submit(
      shellJob('', {
        tasks: [
          shellTask('echo one; echo two >&2', { stdout: 'logs/first.txt' }),
          shellTask('cat logs/first.txt; echo three', { stdout: '/home/user/second.txt' }),
        ],
        outputFiles: ['logs/first.txt', '/home/user/second.txt'],
      }),
    );
    const job = await rest.ended(id);
    expect(job).toMatchObject({ status: 'completed' });
    expect(await rest.output(id)).toBe('one\ntwo\none\ntwo\nthree\n');
    expect(await rest.output(id, 'stderr')).toBe('');
    const outputs = await Promise.all(job.outputFiles!.map(({ url }) => fetched(url)));
    expect(outputs).toEqual(['one\ntwo\n', 'one\ntwo\nthree\n']);
  });

  it('is translated below the mountpoint of an artifact', async () => {
    await rest.upload('data.txt', Buffer.from('x'));
    const id = await rest.submit(
      shellJob('', {
        artifacts: [{ url: 'data.txt', mountpoint: 'results:/results' }],
        tasks: [shellTask('echo here', { stdout: '/results/a.txt' }), shellTask('cat /results/a.txt results/a.txt')],
      }),
    );
    expect(await rest.ended(id)).toMatchObject({ status: 'completed' });
    expect(await rest.output(id)).toBe('here\nhere\nhere\n');
  });

  it('is refused outside of scratch', async () => {
    const tasks = [shellTask('true', { stdout: '../elsewhere' })];
    await expect(rest.submit(shellJob('', { tasks }))).rejects.toThrow('400: stdout of a task must be a file');
  });
});

describe('a task with mounts, a network of its own and variables that shells drop', () => {
  const env = { IFS: ':', key: 'a "b" $c', UID: '7', PROMPT_COMMAND: '`date`', PLAIN: 'x  y' };
  const lines = Object.entries(env).map(([name, value]) => `${name}=${value}`);

  it.each(['singularity', 'udocker'])('has all of it with %s, as a command beside it does', async (runtime) => {
    const server = createServer((_, response) => response.end('reached')).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    try {
      await rest.upload('data.txt', Buffer.from('given\n'));
      await rest.request('POST', '/kv/lab', 'told');
      const asked = 'wget -q -O - --header "Authorization: Bearer $PROMINENCE_TOKEN" $PROMINENCE_URL/kv/lab; echo';
      const closed = `wget -q -T 20 -O - http://127.0.0.1:${port} 2>/dev/null || echo closed`;
      const line = `cat data.txt; echo made > /results/made.txt; ${asked}; ${closed}; while [ ! -e go ]; do sleep 0.1; done`;
      const id = await rest.submit(
        shellJob('', {
          artifacts: [{ url: 'data.txt', mountpoint: 'results:/results' }],
          tasks: [{ ...shellTask('', { runtime, env }), cmd: 'env' }, shellTask(line, { runtime, env })],
          outputFiles: ['results/made.txt'],
        }),
      );
      const said = await eventually(
        async () => ((await rest.output(id)).endsWith('closed\n') ? rest.output(id) : undefined),
        () => 'the task did not get there',
      );
      expect(said.split('\n')).toEqual(expect.arrayContaining(lines));
      expect(said).toMatch(/\ngiven\n"told"\nclosed\n$/);
      const command = async (...words: string[]) => {
        const answer = await rest.request('POST', `/jobs/${id}/exec`, { command: words });
        return answer.text();
      };
      expect((await command('env')).split('\n')).toEqual(expect.arrayContaining(lines));
      expect(await command('cat', '/results/made.txt')).toBe('made\n');
      await command('touch', 'go');
      const job = await rest.ended(id);
      expect(job).toMatchObject({ status: 'completed', execution: { tasks: [{ exitCode: 0 }, { exitCode: 0 }] } });
      expect(await fetched(job.outputFiles![0]!.url)).toBe('made\n');
    } finally {
      server.close();
    }
  });
});

describe('the output of a job', () => {
  it('is what was written, byte for byte, wherever it was cut on its way', async () => {
    // Odd lengths, so that characters of two and four bytes lie across every border there is.
    const line =
      'printf "x"; head -c 700000 /dev/zero | tr "\\0" "\\n" | sed "s/^/é😀/"; printf "\\000\\377\\376\\r\\n"';
    const id = await rest.submit(shellJob(line));
    expect(await rest.ended(id)).toMatchObject({ status: 'completed' });
    const response = await rest.request('GET', `/jobs/${id}/stdout`);
    const expected = Buffer.concat([Buffer.from(`x${'é😀\n'.repeat(700_000)}`), Buffer.from([0, 255, 254, 13, 10])]);
    expect(Buffer.from(await response.arrayBuffer()).equals(expected)).toBe(true);
    const middle = await rest.request('GET', `/jobs/${id}/stdout?offset=4000002`);
    expect(Buffer.from(await middle.arrayBuffer()).equals(expected.subarray(4_000_002))).toBe(true);
  });
});

describe('udocker', () => {
  const task = (line: string) => shellTask(line, { runtime: 'udocker' });

  it('runs tasks beside the other runtime, in the same scratch directory', async () => {
    // An image that nobody has pulled yet: zeros at the end of an archive mean nothing, and make its digest another one.
    const image = 'own.tar';
    await rest.upload(image, Buffer.concat([readFileSync((await buildBusybox()).archive), Buffer.alloc(1024)]));
    const id = await rest.submit(
      shellJob('', {
        tasks: [
          {
            ...task('echo $PROMINENCE_CONTAINER_RUNTIME $USER $PWD $PROMINENCE_JOB_ID >made; touch /kept; exit 0'),
            image,
          },
          shellTask('cat made; echo $PROMINENCE_CONTAINER_RUNTIME'),
          { ...task('ls /kept'), image },
        ],
        outputFiles: ['made'],
      }),
    );
    const job = await rest.ended(id);
    expect(job).toMatchObject({
      status: 'completed',
      execution: {
        runtimeVersion: { udocker: expect.stringMatching(/^[\d.]+\/[\d.]+$/) as string },
        tasks: [
          { exitCode: 0, imagePullStatus: 'completed', imageSha256: expect.stringMatching(/^[0-9a-f]{64}$/) as string },
          { exitCode: 0 },
          { exitCode: 0, imagePullStatus: 'cached' },
        ],
      },
    });
    expect(await rest.output(id)).toBe(`udocker user /home/user ${id}\nsingularity\n/kept\n`);
    expect(await fetched(job.outputFiles![0]!.url)).toBe(`udocker user /home/user ${id}\n`);
  });

  it('is ended by a deletion', async () => {
    const id = await rest.submit(shellJob('', { tasks: [task('(setsid sleep 4871 &); echo up; sleep 4872')] }));
    await eventually(
      async () => ((await rest.output(id)) === 'up\n' ? true : undefined),
      () => 'it never ran',
    );
    await rest.request('DELETE', `/jobs/${id}`);
    expect(await rest.ended(id)).toMatchObject({ status: 'deleted' });
    expect(processesWith('sleep 487')).toEqual([]);
  });
});

describe('an app of an image', () => {
  it('is run with the words of the command', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'prominence-app-'));
    const sif = join(folder, 'app.sif');
    await buildSifWithApp(findApptainer(thisMachine())!.path, await buildBusybox(), sif);
    await rest.upload('app.sif', readFileSync(sif));
    rmSync(folder, { recursive: true });
    const task = { image: 'app.sif', runtime: 'singularity', app: 'greet' };
    const id = await rest.submit(shellJob('', { tasks: [{ ...task, cmd: 'one "two three"' }, task] }));
    expect(await rest.ended(id)).toMatchObject({
      status: 'completed',
      execution: { tasks: [{ exitCode: 0 }, { exitCode: 0 }] },
    });
    expect(await rest.output(id)).toBe('app says one two three\napp says \n');
  });
});
