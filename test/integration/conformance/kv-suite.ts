/** `prominence kv` and the library's key-value calls. */
import { expect, it } from 'vitest';
import { refusal, success, type Ground } from './ground.ts';
import { answers } from './library-suite.ts';

export function kvTests(ground: () => Ground): void {
  it('sets, gets, lists and deletes, with and without a slash in front', async () => {
    const { client } = await ground().newUser('kv-cli');
    expect(await client.run('kv', 'list')).toEqual(success(''));
    expect(await client.run('kv', 'set', 'run/1', 'Grüße ☃')).toEqual(success(''));
    expect(await client.run('kv', 'set', '/run/2', 'two')).toEqual(success(''));
    expect(await client.run('kv', 'set', 'other', 'three')).toEqual(success(''));
    expect(await client.run('kv', 'get', 'run/2')).toEqual(success('two\n'));
    expect(await client.run('kv', 'get', '/run/1')).toEqual(success('Grüße ☃\n'));
    expect(await client.run('kv', 'list')).toEqual(success('/other\n/run/1\n/run/2\n'));
    expect(await client.run('kv', 'list', 'run')).toEqual(success('/run/1\n/run/2\n'));
    expect(await client.run('kv', 'list', '/run/2')).toEqual(success('/run/2\n'));
    expect(await client.run('kv', 'delete', '/run/1')).toEqual(success(''));
    expect(await client.run('kv', 'get', 'run/1')).toEqual(refusal('No such key'));
    expect(await client.run('kv', 'delete', 'run/1')).toEqual(success(''));
    expect(await client.run('kv', 'delete', '--prefix', 'run')).toEqual(success(''));
    expect(await client.run('kv', 'list')).toEqual(success('/other\n'));
  });

  it('takes the content of a file, up to the limit', async () => {
    const { client } = await ground().newUser('kv-file');
    client.write('value.txt', 'line one\nline two\n');
    client.write('large.txt', 'x'.repeat(16_001));
    expect(await client.run('kv', 'set', 'file', 'value.txt')).toEqual(success(''));
    expect(await client.run('kv', 'get', 'file')).toEqual(success('line one\nline two\n\n'));
    expect(await client.run('kv', 'set', 'file', 'large.txt')).toEqual(refusal('Content of value too large'));
    expect(await client.run('kv', 'set', 'file', '')).toEqual(refusal('No value provided'));
  });

  it("shows nobody another's keys", async () => {
    const { client } = await ground().newUser('kv-owner');
    const { client: other } = await ground().newUser('kv-owner-2');
    await client.run('kv', 'set', 'mine', 'secret');
    expect(await other.run('kv', 'list')).toEqual(success(''));
    expect(await other.run('kv', 'get', 'mine')).toEqual(refusal('No such key'));
    expect(await other.run('kv', 'delete', '--prefix', 'mine')).toEqual(success(''));
    expect(await client.run('kv', 'get', 'mine')).toEqual(success('secret\n'));
  });

  it('serves the library', async () => {
    const { client } = await ground().newUser('kv-library');
    const script = `
client = ProminenceClient(authenticated=True)
tell(client.kv_set('a/b', 'value'))
tell(client.kv_get('a/b'))
tell([client.kv_list(), client.kv_list('/a'), client.kv_list('none')])
tell(client.kv_delete('a', True))
told(exceptions.NoSuchKey, client.kv_get, 'a/b')
told(exceptions.KeyValueError, client.kv_set, 'a', '')
`;
    expect(await answers(client, script)).toEqual([
      {},
      'value',
      [['/a/b'], ['/a/b'], []],
      true,
      '',
      'No value provided',
    ]);
  });
}
