/** `prominence run`: descriptions in JSON, YAML and at a URL, with what the client makes of them before it sends them. */
import { expect, it } from 'vitest';
import { createdId, plainUrl, refusal, success, type Ground } from './ground.ts';
import { tarball } from './tarball.ts';

const task = { image: 'busybox.tar', runtime: 'singularity' };
const resources = { cpus: 1, memory: 1, disk: 1, nodes: 1 };

export function runTests(ground: () => Ground): void {
  it('runs a JSON file whose cmd is a script, with files from here', async () => {
    const { client, rest } = await ground().newUser('run-script');
    client.write('inputs/in.txt', 'the input\n');
    const script = '#!/bin/sh\ncat in.txt\necho "from a script"\n';
    const inputs = [`file://${client.workingDirectory}/inputs/in.txt`];
    client.write('job.json', JSON.stringify({ name: 'script', tasks: [{ ...task, cmd: script }], resources, inputs }));
    const id = createdId(await client.run('run', 'job.json'));
    const job = await rest.ended(id);
    const [first, second] = job['inputs'] as { filename: string; executable?: boolean }[];
    // The script is put behind the strings, which the client then turns into files.
    expect(first).toEqual({ filename: 'in.txt', content: Buffer.from('the input\n').toString('base64') });
    expect(second).toMatchObject({ executable: true, content: Buffer.from(script).toString('base64') });
    expect(job.tasks).toEqual([{ ...task, cmd: `./${second!.filename}` }]);
    expect(await client.run('stdout', `${id}`)).toEqual(success('the input\nfrom a script\n\n'));
  });

  it('runs a YAML file whose cmd has several lines, one task for each', async () => {
    const { client, rest } = await ground().newUser('run-yaml');
    const yaml = [
      'name: lines',
      'resources: {cpus: 1, memory: 1, disk: 1}',
      'tasks:',
      '  - image: busybox.tar',
      '    runtime: singularity',
      '    env: {WHO: you}',
      '    cmd: |',
      '      echo one',
      `      /bin/sh -c "echo two $WHO"`,
      '',
      '      echo three',
      'labels: {kind: yaml}',
    ];
    client.write('job.yaml', `${yaml.join('\n')}\n`);
    const id = createdId(await client.run('run', 'job.yaml'));
    const job = await rest.ended(id);
    expect(job).toMatchObject({ name: 'lines', status: 'completed', labels: { kind: 'yaml' } });
    expect(job.tasks.map((each) => each['cmd'])).toEqual(['echo one', '/bin/sh -c "echo two $WHO"', 'echo three']);
    expect(job.execution.tasks.map(({ exitCode }) => exitCode)).toEqual([0, 0, 0]);
    expect((await client.run('stdout', `${id}`)).stdout).toMatch(/^one\ntwo.*\nthree\n\n$/);
  });

  it('runs what is at a URL', async () => {
    const { client, rest } = await ground().newUser('run-url');
    const { web } = ground();
    web.files.set('job.json', Buffer.from(JSON.stringify({ tasks: [{ ...task, cmd: 'echo by url' }], resources })));
    const id = createdId(await client.run('run', plainUrl(web, 'job.json')));
    expect(await rest.ended(id)).toMatchObject({ status: 'completed', name: '' });
    expect(await client.run('stdout', `${id}`)).toEqual(success('by url\n\n'));
    expect(await client.run('run', plainUrl(web, 'nothing.json'))).toEqual(
      refusal('got status 404 from URL with message: no such object'),
    );
  });

  it('brings artifacts from the web, and mounts their folders', async () => {
    const { client, rest } = await ground().newUser('run-artifacts');
    const { web } = ground();
    web.files.set('from-the-web.txt', Buffer.from('from the web\n'));
    web.files.set('set.tgz', tarball({ 'set/a.txt': 'from the archive\n' }));
    const artifacts = [
      { url: plainUrl(web, 'from-the-web.txt') },
      { url: plainUrl(web, 'set.tgz'), mountpoint: 'set:/mnt/in' },
    ];
    const cmd = 'cat from-the-web.txt /mnt/in/a.txt';
    client.write('job.json', JSON.stringify({ tasks: [{ ...task, cmd }], resources, artifacts }));
    const id = createdId(await client.run('run', 'job.json'));
    expect(await rest.ended(id)).toMatchObject({ status: 'completed', artifacts });
    expect(await client.run('stdout', `${id}`)).toEqual(success('from the web\nfrom the archive\n\n'));
  });

  it('takes older spellings of a description', async () => {
    const { client, rest } = await ground().newUser('run-older');
    const older = {
      resources: { cpus: 1, memory: 1 },
      tasks: [{ ...task, cmd: 'echo', args: '"a b"  c', workDir: '/tmp' }],
      labels: ['app=pi'],
      policies: { maximumRetriesPerTask: 2, ignoreTaskTailures: true },
    };
    client.write('job.json', JSON.stringify(older));
    const id = createdId(await client.run('run', 'job.json'));
    await rest.ended(id);
    expect(await client.run('stdout', `${id}`)).toEqual(success('a b c\n\n'));
  });

  it('tells what is wrong with a description', async () => {
    const { client } = await ground().newUser('run-wrong');
    const wrong: [name: string, content: string, message: string][] = [
      [
        'unknown.json',
        JSON.stringify({ tasks: [task], resources, speed: 'high' }),
        'invalid item "speed" in job description',
      ],
      ['resources.json', JSON.stringify({ tasks: [task] }), 'a job must contain resources'],
      [
        'memory.yaml',
        `tasks: [${JSON.stringify(task)}]\nresources: {cpus: 1}\n`,
        'memory or memoryPerCpu (in GB) must be defined',
      ],
      ['type.json', JSON.stringify({ tasks: [{ ...task, type: 'none' }], resources }), 'invalid task type'],
      [
        'input.json',
        JSON.stringify({ tasks: [task], resources, inputs: ['file:///nowhere/x'] }),
        'Unable to open file: /nowhere/x',
      ],
    ];
    await Promise.all(
      wrong.map(async ([name, content, message]) => {
        client.write(name, content);
        expect(await client.run('run', name)).toEqual(refusal(message));
      }),
    );
    expect(await client.run('run', 'nothing.json')).toEqual(
      refusal("[Errno 2] No such file or directory: 'nothing.json'"),
    );
  });
}
