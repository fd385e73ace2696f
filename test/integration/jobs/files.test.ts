/** What jobs leave behind and what becomes of it, from the submit to the URLs of their outputs. */
import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually, type Rest } from '../../ground/rest.ts';
import { runningStack, shellJob, type RunningStack } from '../../ground/running-stack.ts';

let running: RunningStack;
let rest: Rest;

beforeAll(async () => {
  running = await runningStack({ execution: { logBytesPerStream: 100_000, killGraceSeconds: 2 } });
  rest = running.rest;
});
afterAll(() => running?.stop());

type Output = { name: string; url: string; size?: number; partial?: boolean };

async function contents(outputs: Output[] | undefined): Promise<Record<string, string | string[]>> {
  const told: Record<string, string | string[]> = {};
  for (const { name, url, size } of outputs ?? []) {
    const bytes = Buffer.from(await (await fetch(url)).arrayBuffer());
    expect(bytes.length, name).toBe(size);
    const isArchive = bytes.readUInt16BE(0) === 0x1f8b;
    told[name] = isArchive
      ? execFileSync('tar', ['-tzf', '-'], { input: bytes }).toString().trim().split('\n').sort()
      : bytes.toString();
  }
  return told;
}

it('outputs that end with one name are kept apart, each with its own content and size', async () => {
  const line = `for s in north south; do mkdir -p $s/plots; echo "$s" > $s/result.csv; echo $s > $s/plots/$s.svg; done
    echo more >> south/result.csv; mkdir -p a/x b; echo 1 > a/x/f; echo no archive > b/x.tgz; cp -r north c; echo c > c/z.csv`;
  const outputFiles = ['north/result.csv', 'south/result.csv', 'b/x.tgz', 'north/*.csv', 'c/z*.csv'];
  const outputDirs = ['north/plots', 'south/plots', 'a/x'];
  const job = await rest.ended(await rest.submit(shellJob(line, { outputFiles, outputDirs })));
  expect(job).toMatchObject({ status: 'completed' });
  expect(await contents(job.outputFiles)).toEqual({
    'north/result.csv': 'north\n',
    'south/result.csv': 'south\nmore\n',
    'b/x.tgz': 'no archive\n',
    'north/*.csv': 'north\n',
    'c/z*.csv': 'c\n',
  });
  expect(await contents(job.outputDirs)).toEqual({
    'north/plots': ['north/plots/', 'north/plots/north.svg'],
    'south/plots': ['south/plots/', 'south/plots/south.svg'],
    'a/x': ['a/x/', 'a/x/f'],
  });
});

it('links and locked outputs are delivered, and what is not there is told with where its link leads', async () => {
  const line = `mkdir run; echo 42 > run/r; ln -s "$PWD/run/r" latest; ln -s "$PWD/run" dir; echo 43 > /tmp/t; ln -s /tmp/t t
    echo 44 > made/x; ln -s /mnt/made/x m; echo s > locked; chmod 000 locked`;
  const outputFiles = ['latest', 'dir/r', 't', 'm', 'locked'];
  await rest.upload('an-artifact', Buffer.from('x'));
  const artifacts = [{ url: 'an-artifact', mountpoint: 'made:/mnt/made' }];
  const job = await rest.ended(await rest.submit(shellJob(line, { outputFiles, artifacts })));
  expect(job).toMatchObject({ status: 'completed' });
  expect(Object.values(await contents(job.outputFiles))).toEqual(['42\n', '42\n', '43\n', '44\n', 's\n']);
  const outside = await rest.ended(await rest.submit(shellJob('ln -s /etc/hostname h', { outputFiles: ['h'] })));
  expect(outside).toMatchObject({
    status: 'failed',
    statusReason: 'Stageout failed due to no such file or directory',
    statusDetail: "no file h: it leads to /etc/hostname, which is not in the job's own folders",
  });
});

it('a job that is deleted or killed delivers what it has, as a part', async () => {
  const outputs = { outputFiles: ['here', 'never'], outputDirs: ['d'] };
  const begin = 'echo here > here; mkdir d; echo in > d/f; echo ready';
  const deleted = await rest.submit(shellJob(`${begin}; while true; do sleep 0.1; done`, outputs));
  const killed = await rest.submit(shellJob(`${begin}; dd if=/dev/zero of=/dev/null bs=1500M`, outputs));
  await eventually(
    async () => ((await rest.output(deleted)) === 'ready\n' ? true : undefined),
    () => 'the job did not begin',
  );
  await rest.request('DELETE', `/jobs/${deleted}`);
  for (const [id, status] of [
    [deleted, 'deleted'],
    [killed, 'killed'],
  ] as const) {
    const job = await rest.ended(id, 120);
    expect(job.status).toBe(status);
    expect(job.outputFiles).toMatchObject([
      { name: 'here', partial: true },
      { name: 'never', url: '' },
    ]);
    expect(await contents(job.outputFiles!.slice(0, 1))).toEqual({ here: 'here\n' });
    expect(await contents(job.outputDirs)).toEqual({ d: ['d/', 'd/f'] });
  }
});

it('tells which streams were cut', async () => {
  const job = await rest.ended(await rest.submit(shellJob('yes | head -c 300000; echo short >&2')));
  expect(job.execution).toMatchObject({ outputTruncated: ['stdout'], tasks: [{ exitCode: 0 }] });
  const short = await rest.ended(await rest.submit(shellJob('echo short')));
  expect(short.execution).not.toHaveProperty('outputTruncated');
});
