/** What users see when they may not, mistyped, or were told the wrong address. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { UpstreamClient } from '../../ground/upstream-client.ts';
import { refusal, success, type Ground } from './ground.ts';

/** One of each kind of request. `stdout` and `stderr` make their client outside of what catches its errors. */
const commands = [
  ['list'],
  ['describe', '1'],
  ['create', 'busybox'],
  ['delete', '1'],
  ['remove', '1'],
  ['clone', '1'],
  ['ls'],
  ['rm', 'x'],
  ['upload', '--name', 'x', '--filename', 'x'],
];

async function expectEach(client: UpstreamClient, words: string[][], message: string): Promise<void> {
  client.write('x', 'x');
  const results = await Promise.all(words.map((each) => client.run(...each)));
  expect(results).toEqual(words.map(() => refusal(message)));
}

export function errorTests(ground: () => Ground): void {
  it('is told in each command when its token is not accepted', async () => {
    const { client } = await ground().newUser('error-token');
    const [head, claims] = (await ground().stack.token('error-token')).split('.');
    const forged = client.with({ token: `${head}.${claims}.${'A'.repeat(43)}` });
    await expectEach(forged, [...commands, ['stdout', '1'], ['stderr', '1']], 'authentication failed');
  });

  it('sees itself that a token has expired, or is none', async () => {
    const { client } = await ground().newUser('error-expired');
    const expired = client.with({ token: await ground().stack.token('error-expired', [], -10) });
    await expectEach(expired, commands, 'access token has expired');
    const { exitCode, stderr } = await expired.run('stdout', '1');
    expect({ exitCode, lastLine: stderr.trim().split('\n').at(-1) }).toEqual({
      exitCode: 1,
      lastLine: 'prominence.exceptions.TokenExpiredError: Token has expired',
    });
    expect(await client.with({ token: 'not-a-jwt' }).run('list')).toEqual(refusal('access token has expired'));
  });

  it('takes the token from its file', async () => {
    const { client } = await ground().newUser('error-file');
    const token = await ground().stack.token('error-file');
    const bare = client.with({ token: undefined });
    expect(await bare.run('ls')).toEqual(
      refusal('Unable to find token in either the file ~/.prominence/token or environment variable PROMINENCE_TOKEN'),
    );
    mkdirSync(join(client.home, '.prominence'));
    for (const content of [token, JSON.stringify({ access_token: token, token_type: 'Bearer' })]) {
      writeFileSync(join(client.home, '.prominence', 'token'), content, { mode: 0o600 });
      expect(await bare.run('ls')).toEqual(success('busybox.tar\n'));
    }
  });

  it('is told that an address is wrong', async () => {
    const { client } = await ground().newUser('error-address');
    const { apiUrl } = ground().stack;
    for (const path of ['', '/prominence', '/prominence/v2']) {
      const lost = client.with({ url: `${apiUrl}${path}` });
      const message = 'Invalid PROMINENCE URL, got a 404 not found error';
      await expectEach(
        lost,
        [['list'], ['describe', '1'], ['create', 'x'], ['delete', '1'], ['stdout', '1'], ['ls']],
        message,
      );
    }
    const { exitCode, stdout } = await client.with({ url: 'http://127.0.0.1:1/v1' }).run('list');
    expect({ exitCode, stdout }).toEqual({
      exitCode: 1,
      stdout: expect.stringMatching(
        /^Error: HTTPConnectionPool\(host='127\.0\.0\.1', port=1\): .*Connection refused/,
      ) as string,
    });
  });

  it('refuses by itself what is no id, no command or no whole upload', async () => {
    const { client } = await ground().newUser('error-words');
    for (const words of [['describe', 'abc'], ['delete', '1.5'], ['stdout', 'x'], ['create'], ['frobnicate']]) {
      const { exitCode, stdout, stderr } = await client.run(...words);
      expect({ words, exitCode, stdout }).toEqual({ words, exitCode: 2, stdout: '' });
      expect(stderr).toContain('usage: prominence');
    }
    expect(await client.run('upload', '--filename', 'x')).toEqual(refusal('a name must be specified'));
    expect(await client.run('upload', '--name', 'x')).toEqual(refusal('a filename must be specified'));
    expect(await client.run('create', '--input', 'x', 'busybox.tar')).toEqual(refusal('File "x" does not exist'));
    expect(await client.run('--version')).toEqual(success('prominence 0.21.0\n'));
  });
}
