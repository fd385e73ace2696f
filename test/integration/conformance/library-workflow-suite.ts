/** The Python library's workflows: the classes that make them, and what `ProminenceClient` does with them. */
import { expect, it } from 'vitest';
import type { Ground } from './ground.ts';
import { answers } from './library-suite.ts';

/** Waits as users do who know that `Workflow.wait` of the library never ends. */
const helpers = `
client = ProminenceClient(authenticated=True)
def made(name, command, cls=Job):
    task = Task()
    task.image = 'busybox.tar'
    task.runtime = 'singularity'
    task.command = command
    job = cls()
    job.name = name
    job.tasks = [task]
    job.resources = Resources(disk=1)
    return job
def finished(id):
    while client.describe_workflow(id, False)['status'] in ('pending', 'running'): time.sleep(0.2)
    return client.describe_workflow(id, False)
`;

export function libraryWorkflowTests(ground: () => Ground): void {
  it('builds workflows of dependencies and of every factory with the classes', async () => {
    const { client } = await ground().newUser('library-dag');
    const script = `${helpers}
def workflow(name, jobs, **more):
    made = Workflow()
    made.name = name
    made.jobs = jobs
    for key, value in more.items(): setattr(made, key, value)
    made.create()
    return made
first, left, right = made('first', 'echo first'), made('left', 'echo left'), made('right', 'echo right')
dag = workflow('dag', [first, left, right], dependencies=[Dependency(first, [left, right])], labels={'app': 'lib'})
factories = []
def factory(cls, name, **more):
    made = cls()
    made.name = name
    for key, value in more.items(): setattr(made, key, value)
    factories.append(made)
    return made
swept, zipped, repeated = made('swept', 'echo $x $y'), made('zipped', 'echo $a $b'), made('repeated', 'echo again')
factory(ParameterSweep, 's', jobs=[swept], parameters=[ParameterSet('x', 1, 2, 0.5), ParameterSet('y', 0, 1, 1)])
factory(Zip, 'z', jobs=[zipped], parameters=[ParameterSet('a', values=['p', 'q']), ParameterSet('b', values=[1, 2])])
factory(Repeat, 'r', jobs=[repeated], num=2)
many = workflow('many', [swept, zipped, repeated], factories=factories)
tell([type(dag.id).__name__, finished(dag.id)['status'], client.describe_workflow(dag.id, False)['progress']['done']])
tell(client.describe_workflow(dag.id, False)['dependencies'])
tell([finished(many.id)['status'], client.describe_workflow(many.id, False)['progress']['total']])
tell([client.stdout_workflow(many.id, 'swept', 0, instance=i) for i in range(6)])
tell([client.stdout_workflow(many.id, 'zipped', 0, instance=i) for i in range(2)])
tell(client.stdout_workflow(dag.id, 'left', 0, offset=1))
tell(client.stderr_workflow(dag.id, 'left', 0))
tell([item['name'] for item in client.list_workflows('completed', 2)])
tell([item['id'] == dag.id for item in client.list_workflows('all', constraint='app=lib')])
tell(sorted([item['parameters'] for item in client.list_jobs('all', workflow_id=many.id) if 'zipped' in item['name']], key=str))
tell(sorted(client.describe_workflow(many.id, True).keys()))
told(exceptions.WorkflowCreationError, workflow, 'wrong', [first, first])
told(exceptions.JobGetError, client.describe_workflow, 123456789, False)
told(exceptions.StdStreamsError, client.stdout_workflow, dag.id, 'nothing', 0)
`;
    expect(await answers(client, script)).toEqual([
      ['int', 'completed', 3],
      { first: ['left', 'right'] },
      ['completed', 10],
      ['1 0\n', '1 1\n', '1.5 0\n', '1.5 1\n', '2 0\n', '2 1\n'],
      ['p 1\n', 'q 2\n'],
      'eft\n',
      '',
      ['many', 'dag'],
      [true],
      [
        { a: 'p', b: 1 },
        { a: 'q', b: 2 },
      ],
      ['factories', 'jobs', 'name'],
      'all jobs must have unique names: "first" is used more than once',
      'No such workflow',
      'stdout does not exist',
    ]);
  });

  it('runs workflows again, copies, deletes and removes them', async () => {
    const { client } = await ground().newUser('library-again');
    const script = `${helpers}
job = {'name': 'a', 'tasks': [{'image': 'busybox.tar', 'runtime': 'singularity', 'cmd': 'sh -c "exit 3"'}], 'resources': {'cpus': 1, 'memory': 1, 'disk': 1, 'nodes': 1}}
policies = WorkflowPolicies()
policies.leave_in_queue = True
policies.maximum_retries = 1
failing = client.create_workflow({'name': 'failing', 'jobs': [job], 'policies': policies.to_dict()})
tell([finished(failing)['status'], finished(failing)['policies'] if 'policies' in finished(failing) else None])
again = client.rerun(failing)
tell([again > failing, finished(again)['status']])
copy = client.clone('workflow', failing)
tell([copy > again, finished(copy)['status']])
made = Workflow(failing)
tell(made.remove())
told(exceptions.RemoveFromQueueError, made.remove)
told(exceptions.DeletionError, made.delete)
endless = dict(job, tasks=[dict(job['tasks'][0], cmd='sleep 1000')])
running = client.create_workflow({'name': 'endless', 'jobs': [endless]})
while client.describe_workflow(running, False)['status'] == 'pending': time.sleep(0.2)
tell([item['id'] == running for item in client.list_workflows('running')])
told(exceptions.WorkflowCreationError, client.rerun, running)
tell(client.delete_workflow(running))
tell(finished(running)['statusReason'])
`;
    expect(await answers(client, script)).toEqual([
      ['failed', { leaveInQueue: true, maximumRetries: 1 }],
      [true, 'failed'],
      [true, 'failed'],
      true,
      'Workflow is no longer in the queue',
      'No such workflow(s)',
      [true],
      expect.stringContaining('not in a suitable state') as string,
      true,
      'Workflow deleted by user',
    ]);
  });

  it('asks what there is, and commands and snapshots of a job', async () => {
    const { client } = await ground().newUser('library-calls');
    const script = `${helpers}
job = made('long', 'sh -c "echo kept > f; sleep 1000"')
job.notifications = []
job.create()
while client.describe_job(job.id)['status'] == 'pending': time.sleep(0.2)
def asked():
    try: return client.execute_command(job.id, ['cat', 'f'])
    except exceptions.ExecError: return None
while asked() is None: time.sleep(0.2)
tell(asked())
tell(client.create_snapshot(job.id, 'f'))
tell(client.get_snapshot_url(job.id)['url'].startswith('http'))
tell([item['site'] for item in client.resources()['existing']])
told(exceptions.SnapshotCreateError, client.create_snapshot, job.id, '/etc')
tell(job.delete())
job.wait(timeout=60)
told(exceptions.ExecError, client.execute_command, job.id, ['ls'])
told(exceptions.SnapshotCreateError, client.create_snapshot, job.id, 'f')
notified = made('told', 'true')
notified.notifications = [Notification('jobFinished', 'email')]
tell(notified.to_dict()['notifications'])
notified.create()
tell(notified.id > 0)
`;
    expect(await answers(client, script)).toEqual([
      'kept\n',
      '{}',
      true,
      ['local'],
      'Invalid path',
      true,
      'Job is not running',
      'Job is not running',
      [{ event: 'jobFinished', type: 'email' }],
      true,
    ]);
  });
}
