/** `prominence create`: each option, told back by the service and felt by the job. */
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { expect, it } from 'vitest';
import { newGate } from '../../ground/gates.ts';
import { createdId, refusal, success, type Ground } from './ground.ts';
import { tarball } from './tarball.ts';

/** In single quotes, as a shell takes it. */
const shell = (line: string) => `/bin/sh -c '${line}'`;

export function createTests(ground: () => Ground): void {
  it('sends the defaults when there is only an image', async () => {
    const { client, rest } = await ground().newUser('create-least');
    const id = createdId(await client.run('create', 'busybox.tar'));
    expect(await rest.ended(id)).toMatchObject({ status: 'completed', execution: { tasks: [{ exitCode: 0 }] } });
    const job = await rest.describe(id);
    const { execution, events, ...told } = job;
    expect(told).toEqual({
      id,
      name: '',
      status: 'completed',
      tasks: [{ image: 'busybox.tar', runtime: 'singularity' }],
      resources: { nodes: 1, disk: 10, cpus: 1, memory: 1 },
    });
    expect(execution).toMatchObject({
      site: 'local',
      provisionedResources: { cpus: 1, memory: 1, disk: 10, nodes: 1 },
    });
    expect(Object.keys(events)).toEqual(['createTime', 'startTime', 'endTime']);
  });

  it('takes name, sizes, inputs, outputs, environment, labels and policies', async () => {
    const { client, rest } = await ground().newUser('create-most');
    client.write('files/in.txt', 'from the input\n');
    client.write('tool.sh', 'echo "tool says $1"\n');
    const line =
      'cat in.txt; sh tool.sh hello; echo $ONE-$TWO; echo out > out.txt; mkdir -p a/plots; echo 1 > a/plots/p';
    const id = createdId(
      await client.run(
        'create',
        ...['--name', 'a full/one.1', '--cpus', '2', '--memory', '1.5', '--disk', '3', '--walltime', '30'],
        ...['--input', 'files/in.txt', '--input', 'tool.sh', '--output', 'out.txt', '--outputdir', 'a/plots'],
        ...['--env', 'ONE=first', '--env', 'TWO=second word', '--label', 'app=pi', '--label', 'run=x/1.0'],
        ...[
          '--retries',
          '2',
          '--task-retries',
          '3',
          '--leave-in-queue',
          '--priority',
          '7',
          '--max-time-in-queue',
          '90',
        ],
        ...['--runtime', 'singularity', 'busybox.tar', shell(line)],
      ),
    );
    const job = await rest.ended(id);
    expect(job).toMatchObject({
      name: 'a full/one.1',
      status: 'completed',
      outputFiles: [{ name: 'out.txt', size: 4 }],
      outputDirs: [{ name: 'a/plots' }],
    });
    expect(job['resources']).toEqual({ nodes: 1, disk: 3, walltime: 30, cpus: 2, memory: 1.5 });
    expect(job.tasks).toEqual([
      {
        image: 'busybox.tar',
        runtime: 'singularity',
        cmd: shell(line),
        env: { ONE: 'first', TWO: 'second word' },
      },
    ]);
    expect(job['labels']).toEqual({ app: 'pi', run: 'x/1.0' });
    expect(job['policies']).toEqual({
      priority: 7,
      maximumRetries: 2,
      maximumTaskRetries: 3,
      maximumTimeInQueue: 90,
      leaveInQueue: true,
    });
    expect(job['inputs']).toEqual([
      { filename: 'in.txt', content: Buffer.from('from the input\n').toString('base64') },
      { filename: 'tool.sh', content: Buffer.from('echo "tool says $1"\n').toString('base64') },
    ]);
    expect(job.execution['provisionedResources']).toMatchObject({ cpus: 2, disk: 3, nodes: 1 });
    expect(await client.run('stdout', `${id}`)).toEqual(
      success('from the input\ntool says hello\nfirst-second word\n\n'),
    );
  });

  it('gives artifacts, unpacked, and mounted where asked', async () => {
    const { client, rest } = await ground().newUser('create-artifacts');
    await rest.upload('data.tgz', tarball({ 'data/a.txt': 'from the archive\n' }));
    await rest.upload('plain.txt', Buffer.from('plain\n'));
    const artifacts = ['--artifact', 'plain.txt', '--artifact', 'data.tgz:data:/mnt/in'];
    const command = shell('cat ../plain.txt a.txt /mnt/in/a.txt; pwd');
    const id = createdId(await client.run('create', ...artifacts, '--workdir', 'data', 'busybox.tar', command));
    const job = await rest.ended(id);
    expect(job['artifacts']).toEqual([{ url: 'plain.txt' }, { url: 'data.tgz', mountpoint: 'data:/mnt/in' }]);
    expect(job.tasks).toEqual([{ image: 'busybox.tar', workdir: 'data', runtime: 'singularity', cmd: command }]);
    expect(await client.run('stdout', `${id}`)).toEqual(
      success('plain\nfrom the archive\nfrom the archive\n/home/user/data\n\n'),
    );
    // The client takes the port of a URL for a directory.
    expect(await client.run('create', '--artifact', 'http://127.0.0.1:80/x.tgz', 'busybox.tar')).toEqual(
      refusal('invalid source in mountpoint for artifact'),
    );
  });

  it('brings a directory along', async () => {
    const { client, rest } = await ground().newUser('create-directory');
    client.write('project/run.sh', 'cat parts/one\n');
    client.write('project/parts/one', 'part one\n');
    const id = createdId(await client.run('create', '--directory', 'project', 'busybox.tar', '/bin/sh run.sh'));
    expect(await rest.ended(id)).toMatchObject({ status: 'completed', execution: { tasks: [{ exitCode: 0 }] } });
    const [artifact] = (await rest.describe(id))['artifacts'] as { url: string }[];
    expect(artifact!.url).toMatch(/^[0-9a-f-]{36}\.tar\.gz$/);
    expect(existsSync(`/tmp/${artifact!.url}`)).toBe(false);
    expect(await client.run('stdout', `${id}`)).toEqual(success('part one\n\n'));
    expect(readdirSync(client.workingDirectory)).toEqual(['project']);
  });

  it('takes inputs as large as the client sends', async () => {
    const { client, rest } = await ground().newUser('create-large');
    const large = randomBytes(999_999);
    for (const name of ['one.bin', 'two.bin']) client.write(name, large);
    const inputs = ['--input', 'one.bin', '--input', 'two.bin'];
    const id = createdId(await client.run('create', ...inputs, 'busybox.tar', 'sha256sum one.bin two.bin'));
    await rest.ended(id);
    const sum = createHash('sha256').update(large).digest('hex');
    expect(await client.run('stdout', `${id}`)).toEqual(success(`${sum}  one.bin\n${sum}  two.bin\n\n`));
    client.write('too-large.bin', Buffer.alloc(1_000_000));
    expect(await client.run('create', '--input', 'too-large.bin', 'busybox.tar')).toEqual(
      refusal('Input file size too large'),
    );
  });

  it('repeats what fails: a task in place, a job anew', async () => {
    const { client, rest } = await ground().newUser('create-retries');
    const [task, job] = await Promise.all([
      client.run('create', '--task-retries', '2', 'busybox.tar', shell('echo x >> n; [ $(wc -l < n) = 3 ]')),
      client.run('create', '--retries', '1', 'busybox.tar', shell('echo x >> n; [ $(wc -l < n) = 2 ]')),
    ]);
    expect((await rest.ended(createdId(task))).execution.tasks).toMatchObject([{ exitCode: 0, retries: 2 }]);
    expect((await rest.ended(createdId(job))).execution).toMatchObject({ retries: 1, tasks: [{ exitCode: 1 }] });
  });

  it('keeps a job in the queue after its end when told so', async () => {
    const { client, rest } = await ground().newUser('create-kept');
    const kept = createdId(await client.run('create', '--leave-in-queue', 'busybox.tar', 'true'));
    const left = createdId(await client.run('create', 'busybox.tar', 'true'));
    await Promise.all([rest.ended(kept), rest.ended(left)]);
    const lines = (await client.run('list')).stdout.trim().split('\n').slice(1);
    expect(lines.map((line) => Number(line.split(' ')[0]))).toEqual([kept]);
  });

  it('lets the job choose of several sizes', async () => {
    const { client, rest } = await ground().newUser('create-sizes');
    const sized = async (...words: string[]) => {
      const id = createdId(await client.run('create', ...words, 'busybox.tar', 'true'));
      const job = await rest.ended(id);
      return [job['resources'], job.execution['provisionedResources']];
    };
    const least = { nodes: 1, disk: 10 };
    expect(
      await Promise.all([sized('--cpus-range', '1,2'), sized('--cpus-options', '1,3', '--memory-per-cpu', '1.5')]),
    ).toEqual([
      [
        { ...least, cpusRange: [1, 2], memory: 1 },
        { ...least, cpus: 2, memory: 1 },
      ],
      [
        { ...least, cpusOptions: [1, 3], memoryPerCpu: 1.5 },
        { ...least, cpus: 3, memory: 5 },
      ],
    ]);
  });

  it('is told in a sentence what the service can not do', async () => {
    const { client } = await ground().newUser('create-refused');
    const refusals: [words: string[], message: string][] = [
      [['--openmpi'], 'A command to execute must be specified for MPI jobs'],
      [['--name', 'a*'], 'invalid job name'],
      [['--name', 'n'.repeat(513)], 'job name must be less than 512 characters in length'],
      [['--cpus', '0'], 'number of cpus must be at least 1'],
      [['--cpus', '-1'], 'number of cpus must be an integer'],
      [['--memory', '0.5'], 'memory must be at least 1'],
      [['--disk', '0'], 'disk must be at least 1'],
      [['--walltime', '-5'], 'required walltime must be an integer'],
      [['--label', 'a b=c'], 'label name "a b" is invalid'],
      [['--label', 'a=c,d'], 'label value "c,d" is invalid'],
      [['--retries', '7'], 'the number of retries must be less than 6'],
      [['--artifact', 'missing.tgz'], 'Artifact missing.tgz does not exist'],
      [['--artifact', 'data:a/b:/mnt'], 'invalid source in mountpoint for artifact'],
      [['--artifact', 'data:a:mnt'], 'the mountpoint for an artifact must be an absolute path'],
    ];
    await Promise.all(
      refusals.map(async ([words, message]) =>
        expect(await client.run('create', ...words, 'busybox.tar')).toEqual(refusal(message)),
      ),
    );
    expect(await client.run('create', 'missing.tar', 'true')).toEqual(refusal('Image missing.tar does not exist'));
    expect((await client.run('list', '-a')).stdout.trim().split('\n')).toHaveLength(1);
  });

  it('tells what it would send, to nobody, with --dry-run', async () => {
    const { client } = await ground().newUser('create-dry');
    const dry = client.with({ token: undefined, url: 'http://127.0.0.1:1/v1' });
    const words = ['--cpus', '4', '--memory-per-cpu', '2', '--openmpi', '--omp-procs-per-node', '2'];
    const { exitCode, stdout } = await dry.run('create', '--dry-run', ...words, 'mpi.sif', '/bin/prog');
    expect({ exitCode, sent: JSON.parse(stdout) as unknown }).toEqual({
      exitCode: 0,
      sent: {
        resources: { nodes: 1, disk: 10, cpus: 4, memoryPerCpu: 2 },
        name: '',
        tasks: [
          {
            image: 'mpi.sif',
            runtime: 'singularity',
            cmd: '/bin/prog',
            type: 'openmpi',
            procsPerNode: 2,
            env: { OMP_NUM_THREADS: '2' },
          },
        ],
      },
    });
  });

  it('refuses by itself what can not be, and the service what it can not do over nodes', async () => {
    const { client, rest } = await ground().newUser('create-nodes');
    const create = (...words: string[]) => client.run('create', ...words, 'busybox.tar', 'true');
    expect(await create('--nodes', '2')).toEqual(
      refusal('more than one node has been requested but MPI has not been specified'),
    );
    expect(await create('--cpus-range', '1-2')).toEqual(
      refusal('--cpus-range must be in the form "min,max" where min and max are integers'),
    );
    const wide = await create('--nodes', '2', '--mpich', '--procs-per-node', '1');
    expect(wide).toEqual(refusal('jobs with more than one node are not supported by this server yet'));
    // No more than one node can give.
    const total = createdId(await create('--total-cpus-range', '2,4', '--cpus', '4'));
    expect(await rest.ended(total)).toMatchObject({
      resources: { cpus: 4, totalCpusRange: [2, 4] },
      execution: { provisionedResources: { cpus: 4, nodes: 1 } },
    });
  });

  it.each(['/v1', '/api/v1'])('works as well below %s', async (prefix) => {
    const { client, rest } = await ground().newUser(`create-below${prefix.replaceAll('/', '-')}`);
    const gate = newGate(rest);
    const elsewhere = client.with({ url: `${ground().stack.apiUrl}${prefix}` });
    const id = createdId(
      await elsewhere.run('create', '--leave-in-queue', 'busybox.tar', shell(`echo on; ${gate.line}`)),
    );
    await gate.open();
    await rest.ended(id);
    expect(await elsewhere.run('stdout', `${id}`)).toEqual(success('on\n\n'));
    expect((await elsewhere.run('list')).stdout).toMatch(new RegExp(`\\n${id} `));
  });
}
