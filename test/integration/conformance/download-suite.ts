/** `prominence download`: the files and directories a job left. */
import { readdirSync } from 'node:fs';
import { expect, it } from 'vitest';
import { newGate } from '../../ground/gates.ts';
import { shellJob } from '../../ground/running-stack.ts';
import { refusal, success, type Ground } from './ground.ts';
import { fileIn } from './tarball.ts';

const begin = 'Preparing downloads...\n';

/** With carriage returns, to be written over. */
function progress(total: number): string {
  const steps = Array.from({ length: total + 1 }, (_, done) => `Current status (complete/total) = ${done}/${total}\r`);
  return `${begin}Starting downloads...\n${steps.join('')}\n`;
}

export function downloadTests(ground: () => Ground): void {
  it('saves files and directories here, or in a folder named by the job', async () => {
    const { client, rest } = await ground().newUser('download-all');
    const line =
      'mkdir -p out/plots/deep; printf "a\\000b" > out/raw.bin; echo text > t.txt; echo p > out/plots/deep/p';
    const outputs = { outputFiles: ['out/raw.bin', 't.txt'], outputDirs: ['out/plots'] };
    const id = await rest.submit(shellJob(line, outputs));
    await rest.ended(id);
    expect(await client.run('download', `${id}`)).toEqual(success(progress(3)));
    expect(readdirSync(client.workingDirectory).sort()).toEqual(['plots.tgz', 'raw.bin', 't.txt']);
    expect(client.read('raw.bin').toString('latin1')).toBe('a\0b');
    expect(client.read('t.txt').toString()).toBe('text\n');
    expect(fileIn(client.read('plots.tgz'), 'out/plots/deep/p')).toBe('p\n');

    expect(await client.run('download', '--dir', '--concurrency', '1', 'job', `${id}`)).toEqual(success(progress(3)));
    expect(client.read(`${id}/raw.bin`).toString('latin1')).toBe('a\0b');
    expect(readdirSync(`${client.workingDirectory}/${id}`).sort()).toEqual(['plots.tgz', 'raw.bin', 't.txt']);
    // The client gives up without a word where the folder is there already.
    expect(await client.run('download', '--dir', `${id}`)).toEqual(success(begin));
  });

  it('leaves out what was not made', async () => {
    const { client, rest } = await ground().newUser('download-part');
    const id = await rest.submit(shellJob('echo here > here.txt', { outputFiles: ['here.txt', 'missing.txt'] }));
    expect(await rest.ended(id)).toMatchObject({ status: 'failed' });
    expect(await client.run('download', `${id}`)).toEqual(success(progress(2)));
    expect(readdirSync(client.workingDirectory)).toEqual(['here.txt']);
  });

  it('has nothing while the job runs, or for jobs without outputs', async () => {
    const { client, rest } = await ground().newUser('download-none');
    const gate = newGate(rest);
    const running = await rest.submit(shellJob(gate.line, { outputFiles: ['x'] }));
    const without = await rest.submit(shellJob('true'));
    expect(await client.run('download', `${running}`)).toEqual(success(progress(0)));
    await gate.open();
    await Promise.all([rest.ended(running), rest.ended(without)]);
    expect(await client.run('download', `${without}`)).toEqual(success(progress(0)));
    const missing = refusal('No such job');
    expect(await client.run('download', '123456789')).toEqual({ ...missing, stdout: `${begin}${missing.stdout}` });
  });
}
