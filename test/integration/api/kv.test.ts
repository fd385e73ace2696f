import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { issueToken } from '../../../api/auth/tokens.ts';
import { signingKey, startApi, type Answer, type Client, type TestApi } from './api.ts';

let api: TestApi;
let anna: Client;
let ben: Client;
let counter = 0;

beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.close());
beforeEach(async () => {
  counter += 1;
  anna = await api.as(`anna${counter}`);
  // A user whose name begins with another's.
  ben = await api.as(`anna${counter}x`);
});

/** As the client sends it: a raw body without a content type. */
const set = (client: Client, path: string, value: string | Uint8Array<ArrayBuffer>): Promise<Answer> =>
  client.request('POST', `/kv/${path}`, { body: value });
const keys = async (client: Client, path = ''): Promise<unknown> => {
  const { status, json } = await client.get(`/kv${path}?list=true`);
  expect(status).toBe(200);
  return json;
};

describe('a value', () => {
  test('is set, read, replaced and deleted', async () => {
    expect(await anna.get('/kv/a')).toMatchObject({ status: 404, json: { error: 'No such key' } });
    expect(await set(anna, 'a', 'one')).toMatchObject({ status: 201, json: {} });
    expect(await set(anna, 'a', 'zwei ☃')).toMatchObject({ status: 201, json: {} });
    const answer = await anna.get('/kv/a');
    expect(answer).toMatchObject({ status: 200, text: 'zwei ☃' });
    expect(answer.headers.get('content-type')).toBe('text/plain; charset=utf-8');
    expect(await anna.delete('/kv/a')).toMatchObject({ status: 200, json: {} });
    expect(await anna.delete('/kv/a')).toMatchObject({ status: 200, json: {} });
    expect((await anna.get('/kv/a')).status).toBe(404);
  });

  test('may be any bytes', async () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, byte) => byte);
    await set(anna, 'bytes', bytes);
    const token = await issueToken(signingKey, { username: `anna${counter}`, expiresSeconds: 60 });
    const response = await api.app.request('/v1/kv/bytes', { headers: { authorization: `Bearer ${token}` } });
    expect(new Uint8Array(await response.arrayBuffer())).toEqual(bytes);
  });

  test('is neither empty nor too large', async () => {
    expect(await set(anna, 'a', '')).toMatchObject({ status: 400, json: { error: 'No value provided' } });
    expect(await anna.request('POST', '/kv/a')).toMatchObject({ status: 400, json: { error: 'No value provided' } });
    expect((await set(anna, 'a', 'x'.repeat(16_000))).status).toBe(201);
    expect(await set(anna, 'a', 'x'.repeat(16_001))).toMatchObject({
      status: 400,
      json: { error: 'Content of value too large' },
    });
  });

  test("is one owner's alone", async () => {
    await set(anna, 'shared/a', 'mine');
    expect((await ben.get('/kv/shared/a')).status).toBe(404);
    expect(await keys(ben)).toEqual([]);
    await ben.request('DELETE', '/kv/shared?prefix=1');
    await ben.delete('/kv/shared/a');
    await set(ben, 'shared/a', 'theirs');
    expect((await ben.request('POST', '/kv/shared/a?prev=mine', { body: 'x' })).status).toBe(400);
    expect((await anna.get('/kv/shared/a')).text).toBe('mine');
  });
});

describe('compare and swap', () => {
  const swap = (prev: string, value: string) => anna.request('POST', `/kv/lock?prev=${prev}`, { body: value });
  const refused = { status: 400, json: { error: 'Atomic replacement not successful' } };

  test('replaces the value that was named, and no other', async () => {
    expect(await swap('old', 'new')).toMatchObject(refused);
    expect((await anna.get('/kv/lock')).status).toBe(404);
    await set(anna, 'lock', 'old');
    expect(await swap('other', 'new')).toMatchObject(refused);
    expect(await swap('old', 'new')).toMatchObject({ status: 201, json: {} });
    expect(await swap('old', 'newer')).toMatchObject(refused);
    expect((await anna.get('/kv/lock')).text).toBe('new');
  });

  test('with an empty previous value makes a key once', async () => {
    const answers = await Promise.all(['a', 'b', 'c', 'd'].map((value) => swap('', value)));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 400, 400, 400]);
  });

  test('has one winner among many', async () => {
    await set(anna, 'lock', 'start');
    const answers = await Promise.all(Array.from({ length: 8 }, (_, index) => swap('start', `by ${index}`)));
    const winners = answers.flatMap(({ status }, index) => (status === 201 ? [`by ${index}`] : []));
    expect(winners).toEqual([(await anna.get('/kv/lock')).text]);
  });
});

describe('keys', () => {
  test('are listed in order, with a slash in front, by any prefix', async () => {
    for (const key of ['b', 'a/2', 'a/1', 'ab', '_internal_/7', 'a%25', 'é ☃']) await set(anna, key, `of ${key}`);
    expect(await keys(anna)).toEqual(['/a%', '/a/1', '/a/2', '/ab', '/b', '/é ☃']);
    expect(await keys(anna, '/a')).toEqual(['/a%', '/a/1', '/a/2', '/ab']);
    expect(await keys(anna, '/a/')).toEqual(['/a/1', '/a/2']);
    expect(await keys(anna, '/none')).toEqual([]);
    expect(await keys(anna, '/a%25')).toEqual(['/a%']);
    expect((await anna.get('/kv/a/?list=true&values')).json).toEqual([{ '/a/1': 'of a/1' }, { '/a/2': 'of a/2' }]);
    expect((await anna.get('/kv')).json).toEqual(await keys(anna));
  });

  test('are the same with several slashes', async () => {
    await set(anna, '/x', 'one');
    expect((await anna.get('/kv/x')).text).toBe('one');
    expect((await anna.get('/kv//x')).text).toBe('one');
    await set(anna, 'y//z', 'two');
    expect((await anna.get('/kv/y/z')).text).toBe('two');
    expect((await anna.get('/kv/y%2F/z')).text).toBe('two');
    expect(await keys(anna, '//y//')).toEqual(['/y/z']);
    await anna.delete('/kv//y///z');
    expect(await keys(anna)).toEqual(['/x']);
  });

  test('are deleted by prefix', async () => {
    for (const key of ['run/1', 'run/2', 'runner', 'other']) await set(anna, key, 'x');
    expect(await anna.delete('/kv/run/?prefix=True')).toMatchObject({ status: 200, json: {} });
    expect(await keys(anna)).toEqual(['/other', '/runner']);
  });

  test('are never what a path could make of them', async () => {
    await set(ben, 'secret', 'of ben');
    for (const path of [
      `..%2F..%2Fanna${counter}x%2Fsecret`,
      `..%2Fanna${counter}x%2Fsecret`,
      '.%2Fsecret',
      '%25',
      '_%25',
    ]) {
      expect((await anna.get(`/kv/${path}`)).status).toBe(404);
      expect((await anna.get(`/kv/${path}?list=true`)).json).toEqual([]);
    }
  });

  test.each(['POST', 'GET', 'DELETE'])('%s needs one that can be stored', async (method) => {
    const ask = (path: string) => anna.request(method, path, method === 'POST' ? { body: 'x' } : {});
    expect(await ask('/kv//')).toMatchObject({ status: 400, json: { error: 'Key not specified' } });
    expect(await ask(`/kv/${'k'.repeat(1025)}`)).toMatchObject({ status: 400 });
    expect(await ask('/kv/a%00b')).toMatchObject({ status: 400 });
    expect([200, 201, 404]).toContain((await ask(`/kv/${'k'.repeat(1024)}`)).status);
  });

  test('are limited in number, and all of them are listed', async () => {
    await api.connection.sql`
      insert into key_values (owner, key, value)
      select ${`anna${counter}`}, 'n' || to_char(n, 'FM00000'), 'x' from generate_series(1, 10000) as n`;
    expect(await set(anna, 'one-more', 'x')).toMatchObject({
      status: 400,
      json: { error: expect.stringContaining('10000 keys') },
    });
    expect((await anna.request('POST', '/kv/one-more?prev=', { body: 'x' })).status).toBe(400);
    expect((await set(anna, 'n00001', 'changed')).status).toBe(201);
    expect((await anna.request('POST', '/kv/n00001?prev=', { body: 'x' })).json.error).toContain('Atomic');
    const all = (await keys(anna)) as string[];
    expect([all.length, all[0], all.at(-1)]).toEqual([10_000, '/n00001', '/n10000']);
    await anna.delete('/kv/n0?prefix');
    expect((await set(anna, 'one-more', 'x')).status).toBe(201);
  });
});
