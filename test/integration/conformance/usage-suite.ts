/** `prominence usage` and `prominence resources`. */
import { expect, it } from 'vitest';
import { shellJob } from '../../ground/running-stack.ts';
import { refusal, siteCpus, success, type Ground } from './ground.ts';
import { answers } from './library-suite.ts';

const day = (fromToday: number): string => new Date(Date.now() + fromToday * 86_400_000).toISOString().slice(0, 10);
/** Today, also when another day begins meanwhile. */
const recently = (): string[] => [day(-1), day(1)];

export function usageTests(ground: () => Ground): void {
  it('tells what was used, by user and by group', async () => {
    const { client, rest } = await ground().newUser('usage-one', ['usage-lab']);
    const { rest: other } = await ground().newUser('usage-one-more', ['usage-lab', 'elsewhere']);
    expect(await client.run('usage', ...recently())).toEqual(success(''));
    for (const each of [rest, other]) await each.ended(await each.submit(shellJob('true')));
    const entry = (name: string, jobs: number) =>
      `${name}\n   Number of jobs             ${jobs}\n   CPU time (CPU hours)       0\n   Wall time (CPU hours)      0\n`;
    expect(await client.run('usage', ...recently())).toEqual(success(entry('usage-one', 1)));
    expect(await client.run('usage', '--all', ...recently())).toEqual(
      success(entry('usage-one', 1) + entry('usage-one-more', 1)),
    );
    expect(await client.run('usage', '--group', ...recently())).toEqual(success(entry('usage-lab', 2)));
    expect(await client.run('usage', '--group', '--all', ...recently())).toEqual(
      success(entry('usage-one', 1) + entry('usage-one-more', 1) + entry('usage-lab', 2)),
    );
    expect(await client.run('usage', '2020-01-01', '2020-12-31')).toEqual(success(''));
    expect(await client.run('usage', 'yesterday', day(0))).toEqual(
      refusal('Start date must be a day as YYYY-MM-DD, not "yesterday"'),
    );
  });

  it('tells what there is', async () => {
    const { client } = await ground().newUser('resources-cli');
    const { exitCode, stdout } = await client.run('resources');
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(
      new RegExp(
        `^Existing resources\n\nTotal           Free\nCpus  Memory    Cpus  Memory    Site\n${siteCpus}    64        \\d+ {2,3} +\\d+ +local\n\nPotential resources\n\n--coming soon--\n$`,
      ),
    );
    const script = `
client = ProminenceClient(authenticated=True)
tell([[item['capacity'], item['site']] for item in client.resources()['existing']])
tell(client.get_usage('2020-01-01', '2020-01-02', True, True))
`;
    expect(await answers(client, script)).toEqual([
      [[{ cpus: siteCpus, memory: 64, disk: 1000 }, 'local']],
      { usage: { users: {}, groups: {} } },
    ]);
  });
}
