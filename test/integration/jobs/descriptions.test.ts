/** What is in a description reaches the task as it was written, or is refused with a sentence at the submit: on the whole stack. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildBusybox } from '../../ground/images.ts';
import { eventually, type Rest } from '../../ground/rest.ts';
import { runningStack, shellJob, shellTask, type RunningStack } from '../../ground/running-stack.ts';

let running: RunningStack;
let rest: Rest;
let server: Server;
let origin: string;
const asked: string[] = [];

beforeAll(async () => {
  const contents = new Map([
    ['/Beam%20Data%20(v2).csv', Buffer.from('beam\n')],
    ['/caf%C3%A9%20%C2%B5.txt', Buffer.from('coffee\n')],
    ['/x[1]%7B2%7D.txt', Buffer.from('brackets\n')],
    ['/q.txt', Buffer.from('query\n')],
    ['/a+b.txt', Buffer.from('plus\n')],
    ['/busy%20box.tar', readFileSync((await buildBusybox()).archive)],
  ]);
  server = createServer((request, response) => {
    asked.push(request.url!);
    const content = contents.get(request.url!.split('?')[0]!);
    response.writeHead(content ? 200 : 404).end(content);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  running = await runningStack({ execution: { killGraceSeconds: 1 } });
  rest = running.rest;
});
afterAll(async () => {
  await running?.stop();
  server?.close();
});

describe('a URL', () => {
  it('with blanks, other letters, brackets and capitals is fetched as a browser would, under its own name', async () => {
    const id = await rest.submit(
      shellJob('for f in *; do printf "%s: " "$f"; cat "$f"; done', {
        artifacts: [
          { url: `${origin}/Beam Data (v2).csv` },
          { url: `${origin}/caf%C3%A9%20%C2%B5.txt` },
          { url: `${origin}/x[1]{2}.txt` },
          { url: `${origin}/q.txt?sig=a%2Bb%3D&x=%7B1%7D#part` },
          { url: `${origin.replace('http', 'HTTP')}/a+b.txt` },
        ],
      }),
    );
    expect(await rest.ended(id)).toMatchObject({ status: 'completed' });
    expect(await rest.output(id)).toBe(
      'Beam Data (v2).csv: beam\na+b.txt: plus\ncafé µ.txt: coffee\nq.txt: query\nx[1]{2}.txt: brackets\n',
    );
    expect(asked).toContain('/Beam%20Data%20(v2).csv');
  });

  it('of an image too', async () => {
    const id = await rest.submit(shellJob('', { tasks: [shellTask('echo ran', { image: `${origin}/busy box.tar` })] }));
    expect(await rest.ended(id)).toMatchObject({ status: 'completed' });
    expect(await rest.output(id)).toBe('ran\n');
  });
});

describe.each(['singularity', 'udocker'])('with %s', (runtime) => {
  it('variables arrive whose names a shell would spoil', async () => {
    const env = {
      key: 'K-1',
      e: '2.718',
      UID: '1234',
      GID: '1234',
      EUID: '7',
      IFS: ':',
      OPTIND: '3',
      LINES: 'a\n\nb\n',
    };
    const tasks = [{ image: 'busybox.tar', runtime, cmd: '/bin/env -0', env }];
    const id = await rest.submit(shellJob('', { tasks }));
    expect(await rest.ended(id)).toMatchObject({ status: 'completed', execution: { tasks: [{ exitCode: 0 }] } });
    const seen = (await rest.output(id)).split('\0');
    for (const [name, value] of Object.entries(env)) expect(seen).toContain(`${name}=${value}`);
    expect(seen).toContain('HOME=/home/user');
    expect(seen).toContain(`PROMINENCE_JOB_ID=${id}`);
    expect(await rest.output(id, 'stderr')).toBe('');
  });

  it('as many variables as are allowed may have 0.7 MB, and more is refused with the limit', async () => {
    const of = (size: number) =>
      Object.fromEntries(Array.from({ length: 1000 }, (_, n) => [`V${n}`, 'x'.repeat(size)]));
    const job = (size: number) => shellJob('', { tasks: [shellTask('env | grep -c ^V', { runtime, env: of(size) })] });
    const id = await rest.submit(job(700));
    expect(await rest.ended(id)).toMatchObject({ status: 'completed', execution: { tasks: [{ exitCode: 0 }] } });
    expect(await rest.output(id)).toBe('1000\n');
    await expect(rest.submit(job(1100))).rejects.toThrow(/400: the environment .* more than 984000 bytes/);
  });
});

it('a wish for e-mail is no reason to refuse a job: without a server it is kept in a file', async () => {
  const id = await rest.submit(shellJob('true', { notifications: [{ event: 'jobFinished', type: 'email' }] }));
  expect(await rest.ended(id)).toMatchObject({ status: 'completed' });
  const folder = join(running.stack.home, 'mail');
  expect(running.stack.mailFolder).toBe(folder);
  const text = await eventually(
    () => {
      const [file] = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.eml')) : [];
      return Promise.resolve(file && readFileSync(join(folder, file), 'utf8'));
    },
    () => 'there is no file',
  );
  expect(text).toContain(`Subject: Your PROMINENCE job with id ${id}`);
  expect(await rest.describe(id)).toMatchObject({ notificationStates: [{ state: 'delivered' }] });
});
