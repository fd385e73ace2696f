/** `prominence delete`, `remove` and `clone`. */
import { expect, it } from 'vitest';
import { newGate } from '../../ground/gates.ts';
import { shellJob } from '../../ground/running-stack.ts';
import { createdId, refusal, success, type Ground } from './ground.ts';

export function changeTests(ground: () => Ground): void {
  it('deletes a running job, once', async () => {
    const { client, rest } = await ground().newUser('delete-running');
    const id = await rest.submit(shellJob('echo begun; sleep 1000'));
    await rest.until(id, (job) => job.status === 'running');
    expect(await client.run('delete', `${id}`)).toEqual(success('Success\n'));
    expect(await rest.ended(id)).toMatchObject({ status: 'deleted', statusReason: 'Job deleted by user' });
    expect(await client.run('delete', `${id}`)).toEqual(refusal('No such job(s)'));
    expect((await client.run('list', '--completed')).stdout).toContain(` deleted `);
  });

  it('deletes nothing that ended, is another’s or never was', async () => {
    const { client, rest } = await ground().newUser('delete-own');
    const other = await ground().newUser('delete-other');
    const gate = newGate(rest);
    const ended = await rest.submit(shellJob('true'));
    const running = await rest.submit(shellJob(gate.line));
    await rest.ended(ended);
    expect(await client.run('delete', 'job', `${ended}`)).toEqual(refusal('No such job(s)'));
    expect(await other.client.run('delete', `${running}`)).toEqual(refusal('No such job(s)'));
    expect(await client.run('delete', '123456789')).toEqual(refusal('No such job(s)'));
    await gate.open();
    expect(await rest.ended(running)).toMatchObject({ status: 'completed' });
  });

  it('removes a kept job from the queue, once', async () => {
    const { client, rest } = await ground().newUser('remove-own');
    const other = await ground().newUser('remove-other');
    const id = await rest.submit(shellJob('true', { policies: { leaveInQueue: true } }));
    await rest.ended(id);
    expect((await client.run('list')).stdout).toMatch(new RegExp(`\\n${id} `));
    expect(await other.client.run('remove', `${id}`)).toEqual(refusal('Not authorized to access this job'));
    expect(await client.run('remove', `${id}`)).toEqual(success('Job removed from queue\n'));
    expect((await client.run('list')).stdout).not.toMatch(new RegExp(`\\n${id} `));
    expect((await client.run('list', '--completed')).stdout).toMatch(new RegExp(`\\n${id} `));
    expect(await client.run('remove', 'job', `${id}`)).toEqual(refusal('Job is no longer in the queue'));
    expect(await client.run('remove', '123456789')).toEqual(refusal('Job does not exist'));
  });

  it('clones a job of one’s own, with what was submitted', async () => {
    const { client, rest } = await ground().newUser('clone-own');
    const other = await ground().newUser('clone-other');
    const inputs = [{ filename: 'in.txt', content: Buffer.from('again\n').toString('base64') }];
    const submitted = shellJob('cat in.txt', { name: 'twin', inputs, labels: { app: 'pi' } });
    const id = await rest.submit(submitted);
    await rest.ended(id);
    const clone = createdId(await client.run('clone', `${id}`));
    expect(clone).toBeGreaterThan(id);
    await rest.ended(clone);
    expect(await client.run('stdout', `${clone}`)).toEqual(success('again\n\n'));
    expect(JSON.parse((await client.run('describe', '-i', `${clone}`)).stdout)).toEqual(submitted);
    expect(await other.client.run('clone', 'job', `${id}`)).toEqual(refusal('Not authorized to access this job'));
    expect(await client.run('clone', '123456789')).toEqual(refusal('Job does not exist'));
  });
}
