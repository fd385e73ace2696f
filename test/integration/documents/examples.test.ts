/**
 * What the documents tell a newcomer to type, typed. Fenced blocks that say `test` after their language are run in their
 * order on a fresh stack; of a block of JSON the file is written that the text before it names.
 */
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { thisMachine } from '../../../scripts/machine.ts';
import { runningStack, type RunningStack } from '../../ground/running-stack.ts';
import { findUpstreamClient, UpstreamClient } from '../../ground/upstream-client.ts';

let running: RunningStack | undefined;
let folder: string | undefined;
afterEach(async () => {
  await running?.stop();
  if (folder) rmSync(folder, { recursive: true, force: true });
});

type Block = { kind: 'file'; name: string; content: string } | { kind: 'lines'; content: string };

function blocksOf(document: string): Block[] {
  const text = readFileSync(join(thisMachine().repository, document), 'utf8');
  return [...text.matchAll(/([^`]*)^```(sh|json) test\n(.*?)^```$/gms)].map(([, before, language, content]) => {
    // No registry is reached from here.
    const here = content!.replaceAll('docker.io/library/busybox:latest', 'busybox.tar');
    if (language === 'sh') return { kind: 'lines', content: here };
    const name = [...text.slice(0, text.indexOf(content!)).matchAll(/`([\w-]+\.json)`/g)].at(-1)?.[1];
    if (name === undefined) throw new Error(`no file is named before ${before}`);
    return { kind: 'file', name, content: here };
  });
}

/** Everything that the blocks print, each when all that the ones before submitted has ended. */
async function type(document: string): Promise<{ printed: string[]; client: UpstreamClient }> {
  folder = mkdtempSync(join(tmpdir(), 'prominence-examples-'));
  chmodSync(folder, 0o755);
  running = await runningStack();
  const { stack, rest } = running;
  const settings = { url: `${stack.apiUrl}/v1`, token: await stack.token('ann', ['science']), folder };
  const client = new UpstreamClient(settings, await findUpstreamClient());
  const isIdle = async () => {
    const lists = await Promise.all(['/jobs', '/workflows'].map((path) => rest.request('GET', path)));
    return (await Promise.all(lists.map((list) => list.json()))).flat().length === 0;
  };
  const printed: string[] = [];
  for (const block of blocksOf(document)) {
    if (block.kind === 'file') {
      client.write(block.name, block.content);
      continue;
    }
    const { exitCode, stdout, stderr } = await client.shell(block.content);
    expect([exitCode, block.content, stderr]).toMatchObject([0, block.content, expect.any(String)]);
    printed.push(stdout);
    await expect.poll(isIdle, { timeout: 120_000, interval: 300 }).toBe(true);
  }
  return { printed, client };
}

it('README.md: a first job, its output and file, and a sweep', async () => {
  const { printed, client } = await type('README.md');
  expect(printed).toHaveLength(3);
  expect(printed[0]).toContain('Job created with id 1\n');
  expect(printed[1]).toContain('2 data.txt');
  expect(client.read('result.txt').toString()).toBe('2 data.txt\n');
  expect(printed[2]).toContain('Workflow created with id 2\n');
  expect((await client.run('stdout', '2', 'point', '3')).stdout).toBe('x is 0.3\n\n');
  expect((await client.run('list', 'workflows', '--completed')).stdout).toMatch(/^2 .*scan.*12 *$/m);
});

it('docs/users.md: jobs, a dry run, a zip, an upload and keys', async () => {
  const { printed, client } = await type('docs/users.md');
  const [first, again, zip, , keys] = printed;
  expect(first).toBe('Job created with id 1\n');
  expect(again).toBe('{"id":2}');
  expect(JSON.parse(zip!.split('\nWorkflow')[0]!.replace(/Workflow created.*/s, ''))).toMatchObject({ total: 3 });
  expect(zip).toContain('Workflow created with id 3\n');
  expect((await client.run('stdout', '3', 'one', '1')).stdout).toBe('south at 2.5\n\n');
  expect((await client.run('ls')).stdout).toContain('data.txt');
  expect(keys).toContain('0.93');
});

it('docs and README are linked with each other, and every link leads somewhere', () => {
  const { repository } = thisMachine();
  const documents = [
    'README.md',
    'ARCHITECTURE.md',
    'docs/users.md',
    'docs/operators.md',
    'docs/develop.md',
    'docs/wire.md',
  ];
  const anchors = (text: string) =>
    [...text.matchAll(/^#+ (.*)$/gm)].map(([, title]) =>
      title!
        .toLowerCase()
        .replace(/[^\w\- ]/g, '')
        .replaceAll(' ', '-'),
    );
  const broken: string[] = [];
  for (const document of documents) {
    const text = readFileSync(join(repository, document), 'utf8');
    for (const [, target] of text.matchAll(/\]\((?!https?:)([^)]+)\)/g)) {
      const [path, anchor] = target!.split('#') as [string, string?];
      const file = path === '' ? join(repository, document) : join(repository, document, '..', path);
      try {
        if (anchor && !anchors(readFileSync(file, 'utf8')).includes(anchor)) broken.push(`${document}: ${target}`);
        else readFileSync(file);
      } catch {
        broken.push(`${document}: ${target}`);
      }
    }
  }
  expect(broken).toEqual([]);
  expect(readFileSync(join(repository, 'README.md'), 'utf8').split('\n').length).toBeLessThanOrEqual(151);
  expect(readFileSync(join(repository, 'ARCHITECTURE.md'), 'utf8').split('\n').length).toBeLessThanOrEqual(151);
});
