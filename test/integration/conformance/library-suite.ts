/** The Python library: `ProminenceClient` and the `Job` class. Each script prints one line of JSON for each thing asked. */
import { expect, it } from 'vitest';
import type { UpstreamClient } from '../../ground/upstream-client.ts';
import type { Ground } from './ground.ts';

const preamble = `
import json, time
from prominence import *
from prominence import exceptions
def tell(value): print(json.dumps(value, sort_keys=True))
def told(error, action, *words):
    try:
        action(*words)
        tell('no error')
    except error as problem:
        tell(str(problem))
`;

export async function answers(client: UpstreamClient, script: string): Promise<unknown[]> {
  const { exitCode, stdout, stderr } = await client.python(preamble + script);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown);
}

export function libraryTests(ground: () => Ground): void {
  it('submits, describes, lists, reads and deletes jobs with ProminenceClient', async () => {
    const { client } = await ground().newUser('library-client');
    const script = `
client = ProminenceClient(authenticated=True)
def job(cmd, **more):
    task = {'image': 'busybox.tar', 'runtime': 'singularity', 'cmd': cmd}
    return dict({'tasks': [task], 'resources': {'cpus': 1, 'memory': 1, 'disk': 1, 'nodes': 1}}, **more)
def finished(id):
    while client.describe_job(id)['status'] in ('pending', 'running'): time.sleep(0.2)
    return client.describe_job(id)
id = client.create_job(job('echo from the library', name='lib', labels={'app': 'lib'}))
tell(type(id).__name__)
described = finished(id)
tell([described['status'], described['name'], described['execution']['tasks'][0]['exitCode'], described['id'] == id])
tell(client.stdout_job(id, 0))
tell(client.stdout_job(id, 0, offset=5))
tell(client.stderr_job(id, 0))
tell([item['id'] == id for item in client.list_jobs()])
tell([item['id'] == id for item in client.list_jobs('completed', 5, name_constraint='lib')])
tell([[item['id'] == id, item['labels'], item['outputs' if False else 'resources']] for item in client.list_jobs('all', constraint='app=lib', detail=True)])
second = client.clone('job', id)
tell(second > id)
finished(second)
tell([item['id'] - id for item in client.list_jobs('completed', -1)] == [second - id, 0])
long = client.create_job(job('sleep 1000', policies={'leaveInQueue': True}))
while client.describe_job(long)['status'] == 'pending': time.sleep(0.2)
tell([item['id'] == long for item in client.list_jobs('running')])
tell(client.delete_job(long))
tell(finished(long)['statusReason'])
tell(client.remove('job', long))
told(exceptions.RemoveFromQueueError, client.remove, 'job', long)
told(exceptions.DeletionError, client.delete_job, long)
told(exceptions.JobGetError, client.describe_job, 123456789)
told(exceptions.StdStreamsError, client.stdout_job, 123456789, 0)
told(exceptions.JobCreationError, client.create_job, {'tasks': []})
told(exceptions.JobGetError, client.list_jobs, None, 1, 'x')
`;
    expect(await answers(client, script)).toEqual([
      'int',
      ['completed', 'lib', 0, true],
      'from the library\n',
      'the library\n',
      '',
      [],
      [true],
      [[true, { app: 'lib' }, { cpus: 1, memory: 1, disk: 1, nodes: 1 }]],
      true,
      true,
      [true],
      true,
      'Job deleted by user',
      true,
      'Job is no longer in the queue',
      'No such job(s)',
      'No such job',
      'Job does not exist',
      'a job must contain resources',
      'Invalid constraint',
    ]);
  });

  it('uploads, lists and removes objects', async () => {
    const { client } = await ground().newUser('library-objects');
    client.write('table.csv', '1,2,3\n');
    const script = `
client = ProminenceClient(authenticated=True)
tell(client.upload('table.csv', 'table.csv'))
Artifact('by-artifact.csv').upload('table.csv')
tell([[item['name'], item['size']] for item in client.list_objects(None) if item['name'] != 'busybox.tar'])
tell(sorted(client.list_objects(None)[0].keys()))
tell(client.delete_object('table.csv'))
tell([item['name'] for item in client.list_objects('')])
told(exceptions.ObjectError, client.list_objects, 'somebody')
told(exceptions.FileUploadError, client.upload, 'somebody/table.csv', 'table.csv')
`;
    expect(await answers(client, script)).toEqual([
      true,
      [
        ['by-artifact.csv', 6],
        ['table.csv', 6],
      ],
      ['lastModified', 'name', 'size'],
      true,
      ['busybox.tar', 'by-artifact.csv'],
      'Not authorized to access this path',
      'Not authorized to access upload with this path',
    ]);
  });

  it('builds, awaits and reads a job with the classes', async () => {
    const { client, rest } = await ground().newUser('library-job');
    await rest.upload('words.txt', Buffer.from('uploaded\n'));
    client.write('local.txt', 'local\n');
    const script = `
task = Task()
task.image = 'busybox.tar'
task.runtime = 'singularity'
task.command = "/bin/sh -c 'cat local.txt made.txt words.txt; echo $WHO; echo é > out.txt; mkdir d; echo to stderr >&2'"
task.env = {'WHO': 'me'}
policies = JobPolicies()
policies.maximum_task_retries = 1
policies.leave_in_queue = True
policies.ignore_task_failures = False
policies.maximum_time_in_queue = -1
job = Job()
job.name = 'classes'
job.labels = {'app': 'lib'}
job.resources = Resources(cpus=1, memory=1.5, disk=1, walltime=10)
job.resources.cpus_range.min = 1
job.resources.cpus_range.max = 2
job.tasks = [task]
job.policies = policies
job.artifacts = [Artifact('words.txt')]
job.input_files = [InputFile('local.txt'), InputFile('made.txt', content='made here\\n')]
job.output_files = ['out.txt']
job.output_directories = ['d']
job.create()
job.wait(timeout=60)
tell([job.status, job.done(), type(job.id).__name__])
tell(job.stdout())
tell(job.stderr())
tell(job.get_output_file('out.txt'))
tell([job.get_output_file('out.txt', save_as='saved.txt'), job.get_output_directory('d', save_as='d.tgz')])
tell(job.get_input_file('made.txt').decode())
tell([job.execution.site, job.execution.tasks[0]['exitCode'], job.execution.provisioned_resources['cpus']])
tell([job.events.create <= job.events.start, job.events.start <= job.events.end])
tell(Job(id=job.id).status)
tell(job.remove())
`;
    expect(await answers(client, script)).toEqual([
      ['completed', true, 'int'],
      'local\nmade here\nuploaded\nme\n',
      'to stderr\n',
      'é\n',
      [true, true],
      'made here\n',
      ['local', 0, 2],
      [true, true],
      'completed',
      true,
    ]);
    expect(client.read('saved.txt').toString()).toBe('é\n');
    expect(client.read('d.tgz').subarray(0, 2).toString('hex')).toBe('1f8b');
  });
}
