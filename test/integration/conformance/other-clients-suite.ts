/** What other clients of users send, as plain requests: the EOSC client's header, EasyVVUQ's and VVebUQ's shapes. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { findApptainer } from '../../../scripts/components/apptainer.ts';
import { thisMachine } from '../../../scripts/machine.ts';
import { buildBusybox, buildSif } from '../../ground/images.ts';
import { eventually } from '../../ground/rest.ts';
import { success, type Ground } from './ground.ts';
import { answers } from './library-suite.ts';
import { fileIn, tarball } from './tarball.ts';

const description = (name: string) => ({
  name,
  tasks: [{ image: 'busybox.tar', runtime: 'singularity', cmd: 'echo sampled' }],
  resources: { cpus: 1, memory: 1, disk: 1, nodes: 1 },
});

export function otherClientTests(ground: () => Ground): void {
  it.each([
    ['token', '/api/v1'],
    ['Token', '/v1'],
    ['bearer', '/prominence/v1'],
  ])('runs a job for who says "%s" below %s', async (word, prefix) => {
    const user = `other-${word}-${prefix.replaceAll('/', '')}`;
    await ground().newUser(user);
    const url = `${ground().stack.apiUrl}${prefix}`;
    const headers = { authorization: `${word} ${await ground().stack.token(user)}` };
    // EasyVVUQ names a job by the path of its run directory, and sends no content type.
    const name = '/tmp/EasyVVUQ_Campaign_x1/runs/Run_1';
    const created = await fetch(`${url}/jobs`, {
      method: 'POST',
      headers,
      body: Buffer.from(JSON.stringify(description(name))),
    });
    expect(created.status).toBe(201);
    const { id } = (await created.json()) as { id: number };
    const ended = await eventually(
      async () => {
        const answer = await fetch(`${url}/jobs/${id}?all=true`, { headers });
        expect(answer.status).toBe(200);
        const [job] = (await answer.json()) as { status: string; name: string }[];
        return job!.status === 'pending' || job!.status === 'running' ? undefined : job;
      },
      () => `job ${id} goes on`,
    );
    expect(ended).toMatchObject({ status: 'completed', name });
    const output = await fetch(`${url}/jobs/${id}/stdout`, { headers });
    expect([output.status, await output.text()]).toEqual([200, 'sampled\n']);
    expect(output.headers.get('content-type')).toMatch(/; *charset=utf-8$/i);
    const again = await fetch(`${url}/jobs/${id}`, { method: 'DELETE', headers });
    expect([again.status, await again.json()]).toEqual([400, { error: 'No such job(s)' }]);
  });

  it('lets a file be uploaded by name alone, to a store that answers exactly 200', async () => {
    const { rest } = await ground().newUser('other-upload');
    const announced = await rest.request('POST', '/data/upload', { filename: 'campaign.zip' });
    expect(announced.status).toBe(201);
    const { url, ...more } = (await announced.json()) as { url: string };
    expect(more).toEqual({});
    expect((await fetch(url, { method: 'PUT', body: 'zip' })).status).toBe(200);
    expect(await (await rest.request('GET', '/data')).json()).toContainEqual({
      name: 'campaign.zip',
      size: 3,
      lastModified: expect.stringMatching(/^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} 20\d\d \d\d:\d\d:\d\d GMT$/) as string,
    });
  });

  it('runs the scans of jetto-pythontools, and gives their results by point', async () => {
    const { client, rest } = await ground().newUser('other-jetto', ['CCFE']);
    const image = 'CCFE/JINTRAC/v1:latest.sif';
    const sif = join(client.home, 'v1.sif');
    await buildSif(findApptainer(thisMachine())!.path, await buildBusybox(), sif);
    await rest.upload(image, readFileSync(sif));
    const points = ['point_000', 'point_001'];
    const zip = {
      name: 'scan',
      type: 'zip',
      jobs: ['jetto'],
      parameters: [{ name: 'pointdir', values: points }],
      notifications: [],
      policies: { maximumTimeInQueue: 10080, leaveInQueue: true, autoScalingType: null },
    };
    const jetto = {
      name: 'jetto',
      tasks: [
        {
          image,
          runtime: 'singularity',
          cmd: 'sh -c "mkdir -p rundir/$pointdir; echo $pointdir > rundir/$pointdir/out"',
        },
      ],
      resources: { cpus: 1, memory: 1, disk: 1, nodes: 1, walltime: 60 },
      outputDirs: ['rundir/$pointdir'],
      policies: zip.policies,
    };
    const workflow = { name: 'jetto-scan', jobs: [jetto], factories: [zip], policies: { leaveInQueue: true } };
    const script = `
client = ProminenceClient(authenticated=True)
id = client.create_workflow(json.loads('''${JSON.stringify(workflow).replaceAll('\\', '\\\\')}'''))
jobs = lambda: client.list_jobs(status='all', workflow_id=id)
while len([job for job in jobs() if job['status'] == 'completed']) < 2: time.sleep(0.2)
tell(sorted([job['parameters']['pointdir'], job['status']] for job in jobs()))
tell(max(job['id'] for job in jobs()))
`;
    const [listed, id] = await answers(client, script);
    expect(listed).toEqual(points.map((point) => [point, 'completed']));
    expect(await client.run('download', `${id as number}`)).toMatchObject({ exitCode: 0 });
    expect(fileIn(client.read('point_001.tgz'), 'rundir/point_001/out')).toBe('point_001\n');
    expect(await client.run('remove', 'workflow', `${(id as number) - 2}`)).toEqual(
      success('Workflow removed from queue\n'),
    );
  });

  it('runs what VVebUQ makes: empty commands, mounted artifacts, and its table of jobs', async () => {
    const { client, rest } = await ground().newUser('other-vvebuq');
    await rest.upload('sample.tgz', tarball({ 'sample/in': 'x' }));
    const job = {
      ...description('run_1'),
      tasks: [{ image: 'busybox.tar', runtime: 'singularity', cmd: '' }],
      artifacts: [{ url: 'sample.tgz', mountpoint: 'sample:/tmp/work_dir' }],
    };
    client.write('workflow.json', JSON.stringify({ name: 'vvebuq', jobs: [job] }));
    const { stdout } = await client.run('run', 'workflow.json');
    const id = Number(/^Workflow created with id (\d+)\n$/.exec(stdout)?.[1]);
    expect(await rest.ended(id + 1)).toMatchObject({ status: 'completed' });
    const row = (await client.run('list', 'jobs', `${id}`, '--all')).stdout.split('\n')[1];
    expect(row).toMatch(new RegExp(`^${id + 1} +vvebuq/run_1 +\\S+ \\S+ +completed +\\S+ +busybox.tar *$`));
    expect(await client.run('download', 'workflow', `${id}`)).toMatchObject({ exitCode: 0 });
  });

  it('answers JSON errors, never a page', async () => {
    const { rest } = await ground().newUser('other-errors');
    const expected: [method: string, path: string, status: number, error: string][] = [
      ['GET', '/jobs/123456789/stdout', 400, 'Job does not exist'],
      ['DELETE', '/jobs', 400, 'a job id or list of job ids must be provided'],
      ['GET', '/jobs?status=odd', 400, 'invalid status specified'],
      ['GET', '/nothing', 404, 'There is nothing at /v1/nothing'],
    ];
    for (const [method, path, status, error] of expected) {
      const answer = await rest.request(method, path);
      expect([path, answer.status, await answer.json()]).toEqual([path, status, { error }]);
    }
    const unknown = await rest.request('GET', '/jobs/123456789');
    expect([unknown.status, await unknown.json()]).toEqual([200, []]);
  });
}
