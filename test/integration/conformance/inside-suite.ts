/** The client as jobs use it: with the token and URL that a task finds in its environment (docs/wire.md 1.4, 7.2). */
import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { findTemporalCli } from '../../../scripts/components/temporal-cli.ts';
import { thisMachine } from '../../../scripts/machine.ts';
import { eventually } from '../../ground/rest.ts';
import { packPython, pythonCommand, pythonEnvironment } from '../../ground/python.ts';
import { shellJob, shellTask } from '../../ground/running-stack.ts';
import { findUpstreamClient } from '../../ground/upstream-client.ts';
import { createdId, refusal, success, type Ground } from './ground.ts';
import { answers } from './library-suite.ts';

export function insideTests(ground: () => Ground): void {
  it('lets a task talk to the API with plain requests', async () => {
    const { client, rest } = await ground().newUser('inside-requests', ['science']);
    const description = JSON.stringify(shellJob('echo made by a job', { name: 'child' }));
    const line = [
      'ask() { path=$1; shift; wget -q -O - --header "Authorization: Bearer $PROMINENCE_TOKEN" "$@" "$PROMINENCE_URL$path" || echo refused; echo; }',
      'ask "/kv/from/job" --post-data "of $PROMINENCE_JOB_ID"',
      'ask /kv/from/job',
      'ask /jobs --header "Content-type: application/json" --post-file child.json',
      'ask /ts --header "Content-type: application/json" --post-data "{\\"measurement\\":\\"m\\",\\"fields\\":{\\"x\\":1}}"',
      'ask /data/output --header "Content-type: application/json" --post-data "{\\"name\\":\\"early.txt\\"}" | grep -c http',
      'ask /token --post-data ""',
      'echo result > early.txt',
    ].join('; ');
    const inputs = [{ filename: 'child.json', content: Buffer.from(description).toString('base64') }];
    const id = await rest.submit(shellJob(line, { inputs, outputFiles: ['early.txt'] }));
    expect((await rest.ended(id)).status).toBe('completed');
    const lines = (await rest.output(id)).split('\n').filter(Boolean);
    const child = Number(/"id":(\d+)/.exec(lines[2] ?? '')?.[1]);
    expect(lines).toEqual(['{}', `of ${id}`, `{"id":${child}}`, '{}', '1', 'refused']);
    expect(await client.run('kv', 'get', 'from/job')).toEqual(success(`of ${id}\n`));
    await rest.ended(child);
    expect(await rest.output(child)).toBe('made by a job\n');
    expect(await (await rest.request('GET', `/ts/${id}`)).json()).toMatchObject([{ measurement: 'm', values: [1] }]);
  });

  it('lets the library work inside of a job as it is', async () => {
    const { client, rest } = await ground().newUser('inside-python');
    await rest.upload('python.tgz', await packPython(await findUpstreamClient()));
    const script = `
import os, sys
from prominence import *
from prominence import exceptions
task = Task()
task.image = 'busybox.tar'
task.runtime = 'singularity'
task.command = 'echo made inside of job %s' % os.environ['PROMINENCE_JOB_ID']
job = Job()
job.name = 'made-inside'
job.tasks = [task]
job.create()
job.wait(timeout=60)
print(job.status, job.stdout(), end='')
client = ProminenceClient(authenticated=True)
client.kv_set('inside/child', str(job.id))
print([item['name'] for item in client.list_jobs('completed', 1)])
for refused in (lambda: client.delete_job(int(os.environ['PROMINENCE_JOB_ID'])), lambda: client.delete_object('python.tgz')):
    try:
        refused()
    except exceptions.ProminenceError as problem:
        print(problem)
`;
    const inputs = [{ filename: 'script.py', content: Buffer.from(script).toString('base64') }];
    const task = shellTask('', { cmd: pythonCommand('script.py'), env: pythonEnvironment });
    const id = await rest.submit(shellJob('', { tasks: [task], inputs, artifacts: [{ url: 'python.tgz' }] }));
    await rest.ended(id, 90);
    expect([await rest.output(id), await rest.output(id, 'stderr')]).toEqual([
      [
        `completed made inside of job ${id}`,
        "['made-inside']",
        'The token of a job may change only what that job submitted',
        'The token of a job can not be used for this',
        '',
      ].join('\n'),
      '',
    ]);
    const child = Number((await client.run('kv', 'get', 'inside/child')).stdout);
    expect(await rest.describe(child)).toMatchObject({ name: 'made-inside', status: 'completed' });
  });

  it('lets the library and the commands work with the token, within its rights', async () => {
    const { client, rest } = await ground().newUser('inside-library');
    const before = await rest.submit(shellJob('while true; do sleep 0.2; done'));
    const id = await rest.submit(
      shellJob(`echo "$PROMINENCE_TOKEN $PROMINENCE_URL"; while [ ! -e go ]; do sleep 0.1; done`),
    );
    const line = await eventually(
      async () => /^(\S+) (\S+)\n$/.exec(await rest.output(id)) ?? undefined,
      () => 'the job did not tell its token',
    );
    const [token, url] = [line[1]!, line[2]!];
    const inside = client.with({ token, url });

    const child = createdId(await inside.run('create', '--runtime', 'singularity', 'busybox.tar', 'sleep 1000'));
    await rest.until(child, ({ status }) => status === 'running');
    expect((await inside.run('list')).stdout).toContain(`${id}`);
    expect(await inside.run('delete', `${before}`)).toEqual(
      refusal('The token of a job may change only what that job submitted'),
    );
    expect(await inside.run('delete', `${child}`)).toEqual(success('Success\n'));
    expect((await rest.ended(child)).status).toBe('deleted');
    const script = `
client = ProminenceClient(authenticated=True)
job = Job()
task = Task()
task.image = 'busybox.tar'
task.runtime = 'singularity'
task.command = 'echo from inside'
job.tasks = [task]
job.create()
job.wait(timeout=60)
tell([job.status, job.stdout()])
tell(client.kv_set('inside', 'value'))
tell(client.kv_get('inside'))
told(exceptions.DeletionError, client.delete_job, ${before})
told(exceptions.ObjectError, client.delete_object, 'busybox.tar')
`;
    expect(await answers(inside, script)).toEqual([
      ['completed', 'from inside\n'],
      {},
      'value',
      'The token of a job may change only what that job submitted',
      'The token of a job can not be used for this',
    ]);

    // It is in the environment of the task, and nowhere that others look.
    const commandLines = execFileSync('ps', ['-A', '-ww', '-o', 'args'], { encoding: 'utf8', maxBuffer: 1e8 });
    expect(commandLines).toContain('supervise.sh');
    expect(commandLines).not.toContain(token);
    expect(JSON.stringify(await rest.describe(id))).not.toContain(token);
    const history = execFileSync(
      findTemporalCli(thisMachine())!.path,
      ['workflow', 'show', '--workflow-id', `job-${id}`, '-o', 'json', '--address', ground().stack.temporalAddress],
      { encoding: 'utf8', maxBuffer: 1e8 },
    );
    const payloads = [...history.matchAll(/"data": *"([^"]*)"/g)].map(([, data]) => Buffer.from(data!, 'base64'));
    expect(payloads.length).toBeGreaterThan(0);
    for (const each of [history, ...payloads.map(String)]) expect(each).not.toContain(token);

    await rest.request('POST', `/jobs/${id}/exec`, { command: ['touch', 'go'] });
    await rest.ended(id);
    await rest.request('DELETE', `/jobs/${before}`);
    expect(await inside.run('kv', 'get', 'inside')).toEqual(success('value\n'));
  });
}
