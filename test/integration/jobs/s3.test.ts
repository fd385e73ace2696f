import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startS3, type S3Server } from '../../ground/s3.ts';
import { runningStack, shellJob, type RunningStack } from '../../ground/running-stack.ts';

let s3: S3Server;
let running: RunningStack;

beforeAll(async () => {
  s3 = await startS3();
  const { endpoint, accessKeyId, secretAccessKey } = s3;
  running = await runningStack({
    storage: { kind: 's3', endpoint, accessKeyId, secretAccessKey, bucket: 'prominence' },
  });
});
afterAll(async () => {
  await running?.stop();
  await s3?.stop();
});

describe('with objects in S3', () => {
  it('image, artifact and outputs travel between the machine and the store by signed URLs', async () => {
    await running.rest.upload('words.txt', Buffer.from('from s3\n'));
    const id = await running.rest.submit(
      shellJob('cat words.txt; mkdir d; cp words.txt d; cp words.txt "b c+d.txt"', {
        artifacts: [{ url: 'words.txt' }],
        outputFiles: ['b c+d.txt'],
        outputDirs: ['d'],
      }),
    );
    const job = await running.rest.ended(id);
    expect(job).toMatchObject({ status: 'completed' });
    expect(await running.rest.output(id)).toBe('from s3\n');
    expect(new URL(job.outputFiles![0]!.url).origin).toBe(s3.endpoint);
    expect(await (await fetch(job.outputFiles![0]!.url)).text()).toBe('from s3\n');
    expect(job.outputDirs![0]!.size).toBeGreaterThan(0);
    expect((await fetch(job.outputDirs![0]!.url)).headers.get('content-length')).toBe(String(job.outputDirs![0]!.size));
  });
});

it('an upload of other bytes than were announced is refused by the first job that names it', async () => {
  const { rest } = running;
  const checksum = createHash('sha256').update('meant').digest('hex');
  const announce = async () =>
    ((await (await rest.request('POST', '/data/upload', { filename: 'data.txt', checksum })).json()) as { url: string })
      .url;
  const put = (url: string, body: string) => fetch(url, { method: 'PUT', body });
  const using = shellJob('cat data.txt', { artifacts: [{ url: 'data.txt' }] });
  // A store that looks at the checksum itself refuses it here already.
  const { status } = await put(await announce(), 'other');
  if (status === 200)
    await expect(rest.submit(using)).rejects.toThrow('400: Artifact data.txt is not what was announced');
  else expect(status).toBe(400);
  await put(await announce(), 'meant');
  const id = await rest.submit(using);
  expect(await rest.ended(id)).toMatchObject({ status: 'completed' });
  expect(await rest.output(id)).toBe('meant');
});
