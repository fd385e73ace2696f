/** What every object store does, told once and run over each of them. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { objectSha256 } from '../../../storage/checksum.ts';
import type { ObjectStore, StoredObject } from '../../../storage/object-store.ts';
import { curl, curlPut } from './curl.ts';

const names = [
  'plain.txt',
  'a b c.txt',
  'colon:and,comma;.txt',
  'plus+and%20percent%.txt',
  'ümläut-日本語-🚀.txt',
  "quote'(paren)!*~$&=@.txt",
  'question?and#hash.txt',
  'back\\slash"double.txt',
];

/** @param options.isServedHere the store's server is this process */
export function storeSuite(store: () => ObjectStore, { isServedHere = false } = {}): void {
  const area = (name: string) => `${name}-${process.pid}/`;

  describe('signed URLs', () => {
    test.each(names)('carry the bytes of %j there and back', async (name) => {
      const key = area('names') + name;
      const answer = await curlPut(await store().presignPut(key, 60), `content of ${name}`);
      expect(answer.status).toBe(200);
      const read = await curl(await store().presignGet(key, 60));
      expect(read.status).toBe(200);
      expect(read.body.toString()).toBe(`content of ${name}`);
      expect(await store().head(key)).toMatchObject({ key, sizeBytes: Buffer.byteLength(`content of ${name}`) });
      expect((await keys(store(), key))[0]).toBe(key);
    });

    test('take a PUT with the headers that clients of other stores add', async () => {
      const key = `${area('headers')}x`;
      const url = await store().presignPut(key, 60);
      const extra = ['-H', 'x-ms-blob-type: BlockBlob', '-H', 'Expect: 100-continue', '-H', 'Content-Type: text/html'];
      expect((await curlPut(url, 'x', ...extra)).status).toBe(200);
      expect((await curl(await store().presignGet(key, 60))).body.toString()).toBe('x');
    });

    test('take an empty body', async () => {
      const key = `${area('empty')}x`;
      expect((await curlPut(await store().presignPut(key, 60), '')).status).toBe(200);
      expect((await store().head(key))?.sizeBytes).toBe(0);
      const read = await curl(await store().presignGet(key, 60));
      expect([read.status, read.body.length]).toEqual([200, 0]);
    });

    test('replace what was there', async () => {
      const key = `${area('replace')}x`;
      for (const body of ['one', 'two, and longer', '3']) {
        await curlPut(await store().presignPut(key, 60), body);
        expect((await curl(await store().presignGet(key, 60))).body.toString()).toBe(body);
      }
    });

    test('end', async () => {
      const key = `${area('expiry')}x`;
      const [put, get] = [await store().presignPut(key, 1), await store().presignGet(key, 1)];
      const deadline = Date.now() + 10_000;
      while ((await curl(get)).status !== 403 && Date.now() < deadline) await pause(200);
      expect((await curl(get)).status).toBe(403);
      expect((await curlPut(put, 'late')).status).toBe(403);
      expect(await store().head(key)).toBeUndefined();
    });

    test('give no right to anything else', async () => {
      const [mine, other] = [`${area('tamper')}mine`, `${area('tamper')}other`];
      const put = new URL(await store().presignPut(mine, 60));
      const get = await store().presignGet(mine, 60);
      const elsewhere = new URL(put);
      elsewhere.pathname = elsewhere.pathname.replace('mine', 'other');
      expect((await curlPut(elsewhere.href, 'x')).status).toBe(403);
      expect((await curlPut(get, 'x')).status).toBe(403);
      expect((await curl(put.href)).status).toBe(403);
      const unsigned = new URL(put);
      unsigned.search = '';
      expect([400, 403]).toContain((await curlPut(unsigned.href, 'x')).status);
      expect(await keys(store(), area('tamper'))).toEqual([]);
      expect(await store().head(other)).toBeUndefined();
    });

    test('of a missing object answer 404', async () => {
      expect((await curl(await store().presignGet(`${area('missing')}x`, 60))).status).toBe(404);
    });

    test('serve a part of an object', async () => {
      const key = `${area('range')}x`;
      await curlPut(await store().presignPut(key, 60), '0123456789');
      const url = await store().presignGet(key, 60);
      for (const [range, expected] of [
        ['2-4', '234'],
        ['7-', '789'],
        ['-2', '89'],
        ['8-99', '89'],
      ] as const) {
        const answer = await curl(url, '-r', range);
        expect([answer.status, answer.body.toString()]).toEqual([206, expected]);
      }
      expect((await curl(url, '-r', '10-')).status).toBe(416);
    });
  });

  test('a stored object tells its sum', async () => {
    const key = `${area('sum')}x`;
    await curlPut(await store().presignPut(key, 60, { sha256: sha256('hello') }), 'hello');
    expect(await objectSha256(store(), key)).toBe(sha256('hello'));
    expect(await objectSha256(store(), `${key}y`)).toBeUndefined();
  });

  describe('a list', () => {
    test('holds what starts with the prefix, in the order of the bytes', async () => {
      const all = ['ann/b', 'ann/a/deep', 'ann/a', 'ann/a.txt', 'ann/é', 'ann/Z', 'ann/z', 'anna/secret', 'ann'];
      const possible = all.filter((name) => !['ann', 'ann/a'].includes(name));
      for (const name of possible) await curlPut(await store().presignPut(area('list') + name, 60), name);
      expect(await keys(store(), `${area('list')}ann/`)).toEqual(
        ['ann/Z', 'ann/a.txt', 'ann/a/deep', 'ann/b', 'ann/z', 'ann/é'].map((name) => area('list') + name),
      );
      expect(await keys(store(), `${area('list')}ann`)).toHaveLength(possible.length);
      expect(await keys(store(), `${area('list')}ann/a.`)).toEqual([`${area('list')}ann/a.txt`]);
      expect(await keys(store(), `${area('list')}nobody/`)).toEqual([]);
    });

    test('goes on over a thousand objects', async () => {
      const wanted = Array.from({ length: 1150 }, (_, i) => `${area('many')}${String(i).padStart(5, '0')}`);
      for (let i = 0; i < wanted.length; i += 25) {
        await Promise.all(
          wanted.slice(i, i + 25).map(async (key) => {
            const answer = await fetch(await store().presignPut(key, 600), { method: 'PUT', body: 'x' });
            expect(answer.status).toBe(200);
          }),
        );
      }
      expect(await keys(store(), area('many'))).toEqual(wanted);
    });

    test('tells sizes and times', async () => {
      const key = `${area('facts')}x`;
      const before = Date.now() - 2000;
      await curlPut(await store().presignPut(key, 60), '12345');
      const [found] = await objects(store(), key);
      expect(found).toMatchObject({ key, sizeBytes: 5 });
      expect(found!.lastModified.getTime()).toBeGreaterThanOrEqual(before);
      expect(found!.lastModified.getTime()).toBeLessThanOrEqual(Date.now() + 2000);
    });
  });

  test('deleting is done when nothing is there, and may be repeated', async () => {
    const key = `${area('delete')}a/b/c`;
    await curlPut(await store().presignPut(key, 60), 'x');
    for (let i = 0; i < 3; i++) {
      await store().delete(key);
      expect(await store().head(key)).toBeUndefined();
      expect(await keys(store(), area('delete'))).toEqual([]);
    }
    expect((await curlPut(await store().presignPut(key, 60), 'again')).status).toBe(200);
  });

  test('being made ready twice changes nothing', async () => {
    const key = `${area('ready')}x`;
    await curlPut(await store().presignPut(key, 60), 'x');
    await store().ensureReady();
    expect((await store().head(key))?.sizeBytes).toBe(1);
  });

  test(`200 MB go in and out${isServedHere ? ' without being held in memory' : ''}`, async () => {
    const key = `${area('big')}x`;
    const sizeBytes = 200 * 1024 * 1024;
    const expected = createHash('sha256');
    for (let i = 0; i < 200; i++) expected.update(Buffer.alloc(1024 * 1024));
    const sum = expected.digest('hex');
    const peak = watchMemory();
    const uploaded = await shell(
      'file=$(mktemp); truncate -s "$1" "$file"; curl -sS -o /dev/null -w "%{http_code}" -T "$file" "$2"; rm "$file"',
      [String(sizeBytes), await store().presignPut(key, 600, { sha256: sum })],
    );
    expect(uploaded).toBe('200');
    const read = await shell('curl -sS "$1" | sha256sum', [await store().presignGet(key, 600)]);
    expect(read.split(' ')[0]).toBe(sum);
    const grown = peak.stop();
    if (isServedHere) expect(grown).toBeLessThan(120 * 1024 * 1024);
    expect((await store().head(key))?.sizeBytes).toBe(sizeBytes);
    await store().delete(key);
  });
}

export async function objects(store: ObjectStore, prefix: string): Promise<StoredObject[]> {
  const found: StoredObject[] = [];
  for await (const object of store.list(prefix)) found.push(object);
  return found;
}

export async function keys(store: ObjectStore, prefix: string): Promise<string[]> {
  return (await objects(store, prefix)).map((object) => object.key);
}

export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

export async function shell(script: string, args: string[]): Promise<string> {
  const child = spawn('sh', ['-c', script, 'sh', ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (data: Buffer) => (output += data.toString()));
  await once(child, 'close');
  return output.trim();
}

/** How far the memory of this process grew at most. */
function watchMemory(): { stop(): number } {
  const before = process.memoryUsage().rss;
  let peak = before;
  const timer = setInterval(() => (peak = Math.max(peak, process.memoryUsage().rss)), 20);
  return {
    stop() {
      clearInterval(timer);
      return peak - before;
    },
  };
}
