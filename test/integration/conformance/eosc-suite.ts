/** The client of the EOSC service, `prominence-cli` 1.5.1 (docs/wire.md 11): its commands and its library. */
import { expect, it } from 'vitest';
import { createdId, refusal, success, type Ground } from './ground.ts';

const resources = { cpus: 1, memory: 1, disk: 1, nodes: 1 };
const task = { image: 'busybox.tar', runtime: 'singularity' };

export function eoscTests(ground: () => Ground): void {
  it('creates, lists, describes and reads jobs', async () => {
    const { eosc, rest } = await ground().newUser('eosc-jobs');
    expect(await eosc.run('--version')).toEqual(success('prominence 1.5.1\n'));
    const words = ['create', '--name', 'hello', '--runtime', 'singularity', '--label', 'app=x', 'busybox.tar'];
    const id = createdId(await eosc.run(...words, `sh -c 'echo out; echo err >&2'`));
    await rest.ended(id);
    expect(await eosc.run('stdout', `${id}`)).toEqual(success('out\n\n'));
    expect(await eosc.run('stderr', `${id}`)).toEqual(success('err\n\n'));
    const { stdout: list } = await eosc.run('list', '--completed', '--constraint', 'app=x');
    expect(list).toMatch(
      new RegExp(
        `^ID +NAME +CREATED +STATUS +ELAPSED +IMAGE +CMD *\n${id} +hello +.* completed .*busybox.tar +sh -c .*\n$`,
      ),
    );
    // Only the header: it has ended.
    expect((await eosc.run('list')).stdout.split('\n')).toHaveLength(2);
    const described = JSON.parse((await eosc.run('describe', `${id}`)).stdout) as Record<string, unknown>;
    expect(described).toMatchObject({
      id,
      name: 'hello',
      status: 'completed',
      labels: { app: 'x' },
      resources: { disk: 10 },
    });
    expect(await eosc.run('describe', '123456789')).toEqual(refusal('No such job'));
    expect(await eosc.run('stdout', '123456789')).toEqual(refusal('Job does not exist'));
  });

  it('runs descriptions, and deletes what goes on', async () => {
    const { eosc, rest } = await ground().newUser('eosc-run');
    eosc.write('job.json', JSON.stringify({ tasks: [{ ...task, cmd: 'sleep 1000' }], resources }));
    const id = createdId(await eosc.run('run', 'job.json'));
    await rest.until(id, ({ status }) => status === 'running');
    expect((await eosc.run('list')).stdout).toContain(`${id} `);
    expect(await eosc.run('delete', `${id}`)).toEqual(success('Success\n'));
    expect((await rest.ended(id)).status).toBe('deleted');
    expect(await eosc.run('delete', `${id}`)).toEqual(refusal('No such job(s)'));
    eosc.write('wrong.json', JSON.stringify({ tasks: [task] }));
    expect(await eosc.run('run', 'wrong.json')).toEqual(refusal('a job must contain resources'));
  });

  it('runs workflows and shows how far they are', async () => {
    const { eosc, rest } = await ground().newUser('eosc-workflow');
    const job = (name: string, cmd: string) => ({ name, tasks: [{ ...task, cmd }], resources });
    const workflow = {
      name: 'wf',
      jobs: [job('first', 'echo one'), job('second', `sh -c 'echo two >&2'`)],
      dependencies: { first: ['second'] },
    };
    eosc.write('workflow.json', JSON.stringify(workflow));
    const { stdout, exitCode } = await eosc.run('run', 'workflow.json');
    expect(exitCode).toBe(0);
    const id = Number(/^Workflow created with id (\d+)\n$/.exec(stdout)?.[1]);
    await rest.ended(id + 2);
    expect(await eosc.run('stdout', `${id}`, 'first')).toEqual(success('one\n\n'));
    expect(await eosc.run('stderr', `${id}`, 'second')).toEqual(success('two\n\n'));
    expect((await eosc.run('list', 'workflows', '--all')).stdout).toMatch(new RegExp(`\n${id} +wf +.* [12]/2 *\n$`));
    expect((await eosc.run('list', '--all', 'jobs', `${id}`)).stdout).toMatch(/wf\/first(.|\n)*wf\/second/);
    const described = JSON.parse((await eosc.run('describe', 'workflow', `${id}`)).stdout) as Record<string, unknown>;
    expect(described).toMatchObject({ id, name: 'wf', dependencies: { first: ['second'] }, progress: { total: 2 } });
  });

  it('serves its library', async () => {
    const { eosc, rest } = await ground().newUser('eosc-library');
    eosc.write('table.csv', '1,2\n');
    const script = `
import json
from prominence import ProminenceClient
client = ProminenceClient(authenticated=True)
id = client.create_job(${JSON.stringify({ name: 'lib', tasks: [{ ...task, cmd: 'sleep 1000' }], resources })})
print(json.dumps([job['id'] == id for job in client.list_jobs()]))
print(json.dumps(client.upload('table.csv', 'table.csv')))
print(json.dumps([item['name'] for item in client.list_objects(None)]))
print(json.dumps(client.delete_object('table.csv')))
print(json.dumps(client.delete_job(id)))
print(id)
`;
    const { stdout, stderr } = await eosc.python(script);
    expect(stderr).toBe('');
    const lines = stdout.trim().split('\n');
    expect(lines.slice(0, -1)).toEqual(['[true]', 'true', '["busybox.tar", "table.csv"]', 'true', 'true']);
    expect((await rest.ended(Number(lines.at(-1)))).status).toBe('deleted');
  });

  it('tells of a token that is refused', async () => {
    const { eosc } = await ground().newUser('eosc-refused');
    expect(await eosc.with({ token: 'no.token.atall' }).run('list')).toEqual(refusal('authentication failed'));
  });
}
