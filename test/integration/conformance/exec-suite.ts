/** `prominence exec` and `prominence snapshot`: looking into a job while it runs. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { findTemporalCli } from '../../../scripts/components/temporal-cli.ts';
import { thisMachine } from '../../../scripts/machine.ts';
import { eventually, type Rest } from '../../ground/rest.ts';
import { shellJob } from '../../ground/running-stack.ts';
import { plainUrl, refusal, success, type Ground } from './ground.ts';
import { answers } from './library-suite.ts';
import { tarball } from './tarball.ts';

/** A job that has written its files and goes on. */
async function runningJob(rest: Rest, line = 'true', more: Record<string, unknown> = {}): Promise<number> {
  const id = await rest.submit(shellJob(`${line}; echo ready; while true; do sleep 0.2; done`, more));
  const isReady = async () => ((await rest.output(id)).includes('ready') ? true : undefined);
  await eventually(isReady, () => `job ${id} did not begin`, 90);
  return id;
}

export function execTests(ground: () => Ground): void {
  it('runs a command in the view of the container, and tells what it wrote whatever its exit code', async () => {
    const { client, rest } = await ground().newUser('exec-cli');
    ground().web.files.set('exec-set.tgz', tarball({ 'set/a.txt': 'mounted\n' }));
    const artifacts = [{ url: plainUrl(ground().web, 'exec-set.tgz'), mountpoint: 'set:/mnt/in' }];
    const id = await runningJob(rest, 'mkdir -p d; echo "Grüße ☃" > d/file; echo temporary > /tmp/t', { artifacts });
    const exec = (command: string) => client.run('exec', `${id}`, command);
    expect(await exec('cat d/file /tmp/t /mnt/in/a.txt')).toEqual(success('Grüße ☃\ntemporary\nmounted\n\n'));
    expect(await exec('ls -1 d')).toEqual(success('file\n\n'));
    expect(await exec('pwd')).toEqual(success('/home/user\n\n'));
    expect(await exec(`sh -c 'echo out; echo err >&2; echo $PROMINENCE_JOB_ID; exit 3'`)).toEqual(
      success(`out\nerr\n${id}\n\n`),
    );
    expect(await exec(`sh -c 'test -n "$PROMINENCE_TOKEN" && echo has a token'`)).toEqual(success('has a token\n\n'));
    // Commas separate words on their way.
    expect(await exec('echo a,b')).toEqual(success('a b\n\n'));
    const answer = await rest.request('POST', `/jobs/${id}/exec`, {
      command: ['sh', '-c', 'echo "$0"; exit 3', 'a,b'],
    });
    expect([answer.status, answer.headers.get('x-exit-code'), await answer.text()]).toEqual([200, '3', 'a,b\n']);
    expect((await exec('no-such-program')).exitCode).toBe(0);

    await rest.request('DELETE', `/jobs/${id}`);
    await rest.ended(id);
    expect(await exec('ls')).toEqual(refusal('Unable to execute command: Job is not running'));
    expect(await client.run('exec', '123456789', 'ls')).toEqual(
      refusal('Unable to execute command: Job does not exist'),
    );
  });

  it('shows what a command writes while it goes on', async () => {
    const { rest } = await ground().newUser('exec-stream');
    const id = await runningJob(rest);
    const command = ['sh', '-c', 'echo first; until [ -e go ]; do sleep 0.1; done; echo second'];
    const answer = await rest.request('POST', `/jobs/${id}/exec`, { command });
    const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
    expect((await reader.read()).value).toBe('first\n');
    await (await rest.request('POST', `/jobs/${id}/exec`, { command: ['touch', 'go'] })).text();
    let following = '';
    for (let part = await reader.read(); !part.done; part = await reader.read()) following += part.value;
    expect(following).toBe('second\n');
    const large = await rest.request('POST', `/jobs/${id}/exec`, { command: ['sh', '-c', 'yes prominence'] });
    const text = await large.text();
    expect(text.slice(4_194_304)).toBe('\n[prominence: cut here, after 4194304 bytes]\n');
    await rest.request('DELETE', `/jobs/${id}`);
    await rest.ended(id);
  });

  it('keeps commands from others and out of Temporal', async () => {
    const { rest } = await ground().newUser('exec-owner', ['exec-lab']);
    const { client: other } = await ground().newUser('exec-owner-2', ['exec-lab']);
    const id = await runningJob(rest);
    const refused = 'Not authorized to access this job';
    expect(await other.run('exec', `${id}`, 'ls')).toEqual(refusal(`Unable to execute command: ${refused}`));
    expect((await other.run('snapshot', `${id}`, '.')).stdout).toContain(refused);
    const secret = `secret-${id}-of-the-owner`;
    expect(await (await rest.request('POST', `/jobs/${id}/exec`, { command: ['echo', secret] })).text()).toBe(
      `${secret}\n`,
    );
    const temporal = (...words: string[]) =>
      execFileSync(
        findTemporalCli(thisMachine())!.path,
        ['workflow', ...words, '-o', 'json', '--address', ground().stack.temporalAddress],
        { encoding: 'utf8', maxBuffer: 1e8 },
      );
    const listed = () =>
      JSON.parse(temporal('list', '--query', 'WorkflowType = "callWorkflow"')) as {
        execution: { workflowId: string };
      }[];
    // What Temporal lists is written some time later.
    const calls = await eventually(
      async () => {
        const ids = listed().map(({ execution }) => execution.workflowId);
        const found = ids.filter((each) => each.startsWith(`job-${id}-call-`));
        return found.length > 0 ? found : undefined;
      },
      () => `the call of job ${id} is not listed`,
    );
    expect(calls).toHaveLength(1);
    const history = temporal('show', '--workflow-id', calls[0]!);
    const payloads = [...history.matchAll(/"data": *"([^"]*)"/g)].map(([, data]) => Buffer.from(data!, 'base64'));
    for (const each of [history, ...payloads.map(String)]) expect(each).not.toContain(secret);
    await rest.request('DELETE', `/jobs/${id}`);
    await rest.ended(id);
  });

  it('makes snapshots of files and folders, and keeps them apart', async () => {
    const { client, rest } = await ground().newUser('snapshot-cli');
    const id = await runningJob(rest, 'mkdir -p d/e; echo inner > d/e/f; echo outer > out.txt; ln -s /etc out');
    const progress = `\r[${'='.repeat(50)}]`;
    const { exitCode, stdout } = await client.run('snapshot', `${id}`, 'out.txt');
    expect(exitCode).toBe(0);
    expect(stdout).toBe(`Creating snapshot...\nDownloading file "snapshot.tgz"\n${progress}\n`);
    const members = () =>
      execFileSync('tar', ['-tzf', join(client.workingDirectory, 'snapshot.tgz')], { encoding: 'utf8' });
    expect(members()).toBe('out.txt\n');
    await client.run('snapshot', `${id}`, 'd');
    expect(members()).toBe('d/\nd/e/\nd/e/f\n');
    // The first is still there.
    const first = (await (await rest.request('GET', `/jobs/${id}/snapshot?path=out.txt`)).json()) as { url: string };
    expect((await fetch(first.url)).status).toBe(200);

    const refused = (path: string, message: string) =>
      client.run('snapshot', `${id}`, path).then((result) =>
        expect(result).toEqual({
          exitCode: 1,
          stdout: `Creating snapshot...\nError: Unable to create snapshot: ${message}\n`,
          stderr: '',
        }),
      );
    await refused('nothing', 'there is no nothing in the scratch directory');
    await refused('out/passwd', 'there is no out/passwd in the scratch directory');
    await refused('d/../../tasks', 'Invalid path');
    await refused('/etc', 'Invalid path');
    const script = `
job = Job(id=${id})
tell(job.execute(['cat', 'd/e/f']))
tell(job.get_snapshot('d', save_as='saved.tgz'))
`;
    expect(await answers(client, script)).toEqual(['inner\n', true]);
    expect(client.read('saved.tgz').subarray(0, 2).toString('hex')).toBe('1f8b');

    await rest.request('DELETE', `/jobs/${id}`);
    await rest.ended(id);
    await refused('out.txt', 'Job is not running');
    // What was made outlives the job.
    expect((await rest.request('GET', `/jobs/${id}/snapshot`)).status).toBe(200);
  });
}
