/** `prominence upload`, `ls` and `rm`: one's own area and a group's. */
import { createHash, randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import { createdId, refusal, success, type Ground } from './ground.ts';

const sha256 = (content: string | Buffer) => createHash('sha256').update(content).digest('hex');

export function dataTests(ground: () => Ground): void {
  it('uploads, lists and removes files of one’s own', async () => {
    const { client } = await ground().newUser('data-own');
    client.write('a.txt', 'twelve bytes');
    client.write('empty', '');
    expect(await client.run('upload', '--name', 'a.txt', '--filename', 'a.txt')).toEqual(success('Success\n'));
    const checksum = ['--checksum', sha256('twelve bytes')];
    expect(await client.run('upload', '--name', 'with a space+.bin', '--filename', 'a.txt', ...checksum)).toEqual(
      success('Success\n'),
    );
    expect(await client.run('upload', '--name', 'empty', '--filename', 'empty')).toEqual(success('Success\n'));
    expect(await client.run('ls')).toEqual(success('a.txt\nbusybox.tar\nempty\nwith a space+.bin\n'));

    const { exitCode, stdout } = await client.run('ls', '-l');
    const lines = stdout.replace(/[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} 20\d\d \d\d:\d\d:\d\d GMT/g, 'DATE').split('\n');
    const size = /busybox.tar +(\d+)/.exec(stdout)![1]!;
    const line = (name: string, bytes: string) => `${name.padEnd(17)}   ${bytes.padStart(size.length)}   DATE`;
    expect({ exitCode, lines }).toEqual({
      exitCode: 0,
      lines: [line('a.txt', '12'), line('busybox.tar', size), line('empty', '0'), line('with a space+.bin', '12'), ''],
    });
    expect(await client.run('rm', 'with a space+.bin')).toEqual(success('Success\n'));
    expect(await client.run('rm', 'a.txt')).toEqual(success('Success\n'));
    expect(await client.run('rm', 'never there')).toEqual(success('Success\n'));
    expect(await client.run('ls')).toEqual(success('busybox.tar\nempty\n'));
  });

  it('replaces what has the name already', async () => {
    const { client, rest } = await ground().newUser('data-again');
    for (const content of ['first', 'the second']) {
      client.write('f', content);
      expect(await client.run('upload', '--name', 'f', '--filename', 'f')).toEqual(success('Success\n'));
    }
    const answer = await rest.request('GET', '/data');
    expect(await answer.json()).toContainEqual(expect.objectContaining({ name: 'f', size: 10 }));
  });

  it('does not store what differs from its checksum', async () => {
    const { client } = await ground().newUser('data-checksum');
    client.write('a.txt', 'one thing');
    const words = ['upload', '--name', 'a.txt', '--filename', 'a.txt', '--checksum'];
    expect(await client.run(...words, sha256('another thing'))).toEqual(
      refusal("('Got status code', 400, 'from cloud storage')"),
    );
    expect(await client.run(...words, 'abc')).toEqual(refusal('checksum must be a SHA-256 in hexadecimal'));
    expect(await client.run('ls')).toEqual(success('busybox.tar\n'));
  });

  it('shares files within a group', async () => {
    const member = await ground().newUser('data-member', ['lab', 'lab/sub']);
    const friend = await ground().newUser('data-friend', ['lab']);
    const stranger = await ground().newUser('data-stranger', ['la', 'labor']);
    member.client.write('set.csv', '1,2\n');
    const upload = (user: typeof member, name: string) => {
      user.client.write('set.csv', '1,2\n');
      return user.client.run('upload', '--name', name, '--filename', 'set.csv');
    };
    expect(await upload(member, 'lab/set.csv')).toEqual(success('Success\n'));
    expect(await friend.client.run('ls', 'lab')).toEqual(success('lab/set.csv\n'));
    expect(await member.client.run('ls')).toEqual(success('busybox.tar\n'));

    expect(await upload(stranger, 'lab/other.csv')).toEqual(refusal('Not authorized to access upload with this path'));
    expect(await stranger.client.run('ls', 'lab')).toEqual(refusal('Not authorized to access this path'));
    expect(await stranger.client.run('rm', 'lab/set.csv')).toEqual(refusal('Not authorized to access this object'));
    expect(await friend.client.run('rm', 'lab/set.csv')).toEqual(success('Success\n'));
    expect(await member.client.run('ls', 'lab')).toEqual(success(''));
  });

  it('lets a job use what was uploaded, and not once it is removed', async () => {
    const { client, rest } = await ground().newUser('data-used');
    const large = randomBytes(8_000_000);
    client.write('large.bin', large);
    expect(await client.run('upload', '--name', 'set', '--filename', 'large.bin')).toEqual(success('Success\n'));
    const words = ['create', '--artifact', 'set', 'busybox.tar', 'sha256sum set'];
    const id = createdId(await client.run(...words));
    await rest.ended(id);
    expect(await client.run('stdout', `${id}`)).toEqual(success(`${sha256(large)}  set\n\n`));
    expect(await client.run('rm', 'set')).toEqual(success('Success\n'));
    expect(await client.run(...words)).toEqual(refusal('Artifact set does not exist'));
  });
}
