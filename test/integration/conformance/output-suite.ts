/** `prominence stdout` and `stderr`, at the end of a job and while it goes on. */
import { expect, it } from 'vitest';
import { eventually } from '../../ground/rest.ts';
import { newGate } from '../../ground/gates.ts';
import { shellJob } from '../../ground/running-stack.ts';
import { refusal, success, type Ground } from './ground.ts';

export function outputTests(ground: () => Ground): void {
  it('is printed as it was, and a line end after it', async () => {
    const { client, rest } = await ground().newUser('output-ended');
    const id = await rest.submit(shellJob('echo "Grüße, 世界 ☃"; printf "no end" >&2'));
    await rest.ended(id);
    expect(await client.run('stdout', `${id}`)).toEqual(success('Grüße, 世界 ☃\n\n'));
    expect(await client.run('stderr', `${id}`)).toEqual(success('no end\n'));
    expect(await client.run('stdout', `${id}`, '--node', '1')).toEqual(success('\n'));
    // Of a job that ended there is nothing to follow.
    expect(await client.run('stdout', '--tail', `${id}`)).toEqual(success(''));
    expect(await client.run('stderr', '-t', `${id}`)).toEqual(success(''));
  });

  it('is whole once a character is, and shows bytes that are none', async () => {
    const { client, rest } = await ground().newUser('output-split');
    const gate = newGate(rest);
    const id = await rest.submit(shellJob(`printf "\\303"; ${gate.line}; printf "\\251\\n\\000\\377|\\r\\n"`));
    await eventually(
      async () => ((await client.run('stdout', `${id}`)).stdout === '\ufffd\n' ? true : undefined),
      () => 'half of a character never came',
    );
    await gate.open();
    await rest.ended(id);
    expect(await client.run('stdout', `${id}`)).toEqual(success('é\n\0\ufffd|\r\n\n'));
  });

  it('is empty before the job has written any', async () => {
    const { client, rest } = await ground().newUser('output-none');
    const gate = newGate(rest);
    const id = await rest.submit(shellJob(gate.line));
    expect(await client.run('stdout', `${id}`)).toEqual(success('\n'));
    expect(await client.run('stderr', `${id}`)).toEqual(success('\n'));
    await gate.open();
    await rest.ended(id);
  });

  for (const stream of ['stdout', 'stderr'] as const) {
    it(`is followed with ${stream} -t until the job ends`, async () => {
      const { client, rest } = await ground().newUser(`output-tail-${stream}`);
      const [start, second, end] = [newGate(rest), newGate(rest), newGate(rest)];
      const say = (word: string) => (stream === 'stdout' ? `echo ${word}` : `echo ${word} >&2`);
      const line = [start.line, say('one'), second.line, say('two'), end.line].join('; ');
      const id = await rest.submit(shellJob(line));
      const tail = client.start(stream, '-t', `${id}`);
      const shows = (text: string) =>
        eventually(
          () => Promise.resolve(tail.stdout() === text ? true : undefined),
          () => `the tail shows ${JSON.stringify(tail.stdout())}, not ${JSON.stringify(text)}`,
        );
      await start.open();
      await shows('one\n');
      // What is shown while the job goes on is there without -t too.
      expect(await client.run(stream, `${id}`)).toEqual(success('one\n\n'));
      await second.open();
      await shows('one\ntwo\n');
      await end.open();
      expect(await tail.ended).toEqual(success('one\ntwo\n'));
    });
  }

  it('is not shown of jobs that are not there or not one’s own', async () => {
    const { rest } = await ground().newUser('output-owner');
    const { client } = await ground().newUser('output-other');
    const id = await rest.submit(shellJob('echo private'));
    for (const stream of ['stdout', 'stderr']) {
      expect(await client.run(stream, '123456789')).toEqual(refusal('Job does not exist'));
      expect(await client.run(stream, `${id}`)).toEqual(refusal('Not authorized to access this job'));
    }
    await rest.ended(id);
  });
}
