import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { uploadKey } from '../../../storage/keys.ts';
import { job, startApi, type Client, type TestApi } from './api.ts';

let api: TestApi;
let anna: Client;
let owner: string;
let counter = 0;

beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.close());
beforeEach(async () => {
  counter += 1;
  owner = `anna${counter}`;
  anna = await api.as(owner, 'lab', '/vo/sub');
});

const put = (key: string, text: string) => api.store.folder.write(key, Readable.from([Buffer.from(text)]), {});
/** Of a group without a slash in its name. */
const groupKey = (path: string) => {
  const [group = '', ...name] = path.split('/');
  return uploadKey.group({ group, name: name.join('/') });
};
const names = async (client: Client, path: string): Promise<string[]> => {
  const { status, json } = await client.get(path);
  expect(status).toBe(200);
  return (json as { name: string }[]).map(({ name }) => name);
};

describe('uploading', () => {
  test.each(['/data', '/data/upload'])('POST %s gives a URL for the bytes', async (path) => {
    const answer = await anna.post(path, { filename: 'a.tgz', checksum: null });
    expect(answer).toMatchObject({ status: 201, json: { url: expect.stringMatching(/^http/) } });
    expect(Object.keys(answer.json)).toEqual(['url']);
    expect(answer.json.url).toContain(uploadKey.own(owner, 'a.tgz'));
  });

  test('the name may be in the query, without a body', async () => {
    const { status, json } = await anna.request('POST', '/data/upload?name=b.tgz');
    expect(status).toBe(201);
    expect(json.url).toContain('b.tgz');
  });

  test('a checksum is remembered until an upload without one', async () => {
    const sha256 = createHash('sha256').update('x').digest('hex');
    const recorded = () =>
      api.connection.sql`select sha256 from uploads where object_key = ${uploadKey.own(owner, 'a')}`;
    await anna.post('/data/upload', { filename: 'a', checksum: sha256.toUpperCase() });
    expect(await recorded()).toEqual([{ sha256 }]);
    await anna.post('/data/upload', { filename: 'a' });
    expect(await recorded()).toEqual([]);
  });

  test.each([
    [undefined, 'An object name must be specified'],
    [{}, 'An object name must be specified'],
    [[], 'An object name must be specified'],
    [{ filename: 1 }, 'An object name must be specified'],
    [{ filename: 'a', checksum: 'abc' }, 'checksum must be a SHA-256 in hexadecimal'],
    ['{', 'The request body is not valid JSON'],
  ])('%j is a 400', async (body, error) => {
    expect(await anna.post('/data/upload', body)).toMatchObject({ status: 400, json: { error } });
  });

  test.each([
    'other/a',
    'laboratory/a',
    'la/a',
    'lab/../other/a',
    'lab//a',
    'vo/a',
    '../a',
    '.',
    'lab/',
    'a\nb',
    'lab'.repeat(400),
  ])('%j is not a name that may be written', async (filename) => {
    expect(await anna.post('/data/upload', { filename })).toMatchObject({
      status: 403,
      json: { error: 'Not authorized to access upload with this path' },
    });
  });

  test('members write below their groups', async () => {
    for (const filename of ['lab/a', 'lab/b/c', 'vo/sub/x', 'CCFE', 'x:y.sif']) {
      expect((await anna.post('/data', { filename })).status).toBe(201);
    }
  });
});

describe('listing', () => {
  test('own uploads are told by their names in the area', async () => {
    await put(uploadKey.own(owner, 'a.txt'), '12345');
    await put(uploadKey.own(`${owner}x`, 'b.txt'), 'not mine');
    const { json } = await anna.get('/data');
    expect(json).toEqual([
      { name: 'a.txt', size: 5, lastModified: expect.stringMatching(/^\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT$/) },
    ]);
  });

  test('group uploads are told with their path, and only the folder that was named', async () => {
    for (const path of ['lab/a', 'lab/sub/b', 'lab/subway', 'laboratory/c']) await put(groupKey(path), 'x');
    expect(await names(anna, '/data/lab')).toEqual(['lab/a', 'lab/sub/b', 'lab/subway']);
    expect(await names(anna, '/data//lab//sub/')).toEqual(['lab/sub/b']);
    expect(await names(anna, '/data/lab%2Fsub')).toEqual(['lab/sub/b']);
    expect(await names(anna, '/data/lab/a')).toEqual(['lab/a']);
  });

  test.each(['la', 'laboratory', 'lab%2F..', 'vo', 'upload', '%00', 'lab/..%2F..'])(
    '/data/%s is refused',
    async (path) => {
      expect(await anna.get(`/data/${path}`)).toMatchObject({
        status: 403,
        json: { error: 'Not authorized to access this path' },
      });
    },
  );
});

test('a group inside another has an area of its own', async () => {
  const outer = await api.as('outer', 'field');
  const inside = await api.as('inside', 'field/sub');
  const both = await api.as('both', 'field', '/field/sub/');
  await put(uploadKey.group({ group: 'field', name: 'sub/of-field' }), 'x');
  await put(uploadKey.group({ group: 'field/sub', name: 'of-sub' }), 'x');
  expect(await names(outer, '/data/field/sub')).toEqual(['field/sub/of-field']);
  expect(await names(outer, '/data/field')).toContain('field/sub/of-field');
  expect(await names(outer, '/data/field')).not.toContain('field/sub/of-sub');
  expect(await names(inside, '/data/field/sub')).toEqual(['field/sub/of-sub']);
  expect(await names(both, '/data/field/sub')).toEqual(['field/sub/of-sub']);
  expect((await inside.get('/data/field')).status).toBe(403);
  await outer.delete('/data/field/sub/of-sub');
  await inside.delete('/data/field/sub/of-field');
  expect(await names(both, '/data/field/sub')).toEqual(['field/sub/of-sub']);
  expect(await names(outer, '/data/field/sub')).toEqual(['field/sub/of-field']);
});

describe('deleting', () => {
  test('answers 204 whether there was something or not', async () => {
    await put(uploadKey.own(owner, 'a'), 'x');
    await put(groupKey('lab/b'), 'x');
    for (const path of ['a', 'a', 'lab/b', '/lab/b', 'never']) {
      expect(await anna.delete(`/data/${path}`)).toMatchObject({ status: 204, text: '' });
    }
    expect(await names(anna, '/data')).toEqual([]);
  });

  test.each(['other/x', 'laboratory/c', 'lab%2F..%2Fother%2Fx'])('%s is refused', async (path) => {
    expect(await anna.delete(`/data/${path}`)).toMatchObject({
      status: 403,
      json: { error: 'Not authorized to access this object' },
    });
  });
});

describe('uploads that jobs name', () => {
  const withImage = (image: string) => job({ tasks: [{ image, runtime: 'singularity' }] });

  test('must exist and be readable', async () => {
    await put(uploadKey.own(owner, 'img.sif'), 'x');
    await put(groupKey('lab/x:y.sif'), 'x');
    await put(groupKey('other/z.sif'), 'x');
    await put(uploadKey.own(owner, 'data.tgz'), 'x');
    expect((await anna.post('/jobs', withImage('img.sif'))).status).toBe(201);
    expect((await anna.post('/jobs', withImage('lab/x:y.sif'))).status).toBe(201);
    for (const image of ['other/z.sif', 'missing.sif', 'lab/missing.sif', '../img.sif']) {
      expect(await anna.post('/jobs', withImage(image))).toMatchObject({
        status: 400,
        json: { error: `Image ${image} does not exist` },
      });
    }
    expect((await anna.post('/jobs', job({ artifacts: [{ url: 'data.tgz' }] }))).status).toBe(201);
    expect(await anna.post('/jobs', job({ artifacts: [{ url: 'data.tgz' }, { url: 'no.tgz' }] }))).toMatchObject({
      status: 400,
      json: { error: 'Artifact no.tgz does not exist' },
    });
  });

  test('bring the checksum that was announced', async () => {
    const sha256 = createHash('sha256').update('x').digest('hex');
    await anna.post('/data/upload', { filename: 'img.sif', checksum: sha256 });
    await put(uploadKey.own(owner, 'img.sif'), 'x');
    const { json } = await anna.post('/jobs', withImage('img.sif'));
    const [row] = await api.connection.sql`select description, submitted from jobs where id = ${json.id}`;
    expect(row?.['description'].tasks[0].imageSha256).toBe(sha256);
    expect(row?.['submitted'].tasks[0]).not.toHaveProperty('imageSha256');
  });
});

test('a store that fails is told as such', async () => {
  const { head, list, presignPut } = api.store;
  const fail = () => Promise.reject(new Error('disk on fire'));
  Object.assign(api.store, {
    head: fail,
    presignPut: fail,
    list: () => ({ [Symbol.asyncIterator]: () => ({ next: fail }) }),
  });
  try {
    expect(await anna.get('/data')).toMatchObject({
      status: 400,
      json: { error: 'Unable to list objects due to storage system problems' },
    });
    expect((await anna.post('/data', { filename: 'a' })).status).toBe(400);
    expect((await anna.post('/jobs', job({ artifacts: [{ url: 'a.tgz' }] }))).status).toBe(503);
  } finally {
    Object.assign(api.store, { head, list, presignPut });
  }
});
