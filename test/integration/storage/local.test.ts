import { once } from 'node:events';
import { mkdtemp, readdir, readlink, rm, utimes, writeFile } from 'node:fs/promises';
import { connect, type AddressInfo } from 'node:net';
import type { Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { objectRoutes } from '../../../api/routes/objects.ts';
import { createObjectStore } from '../../../storage/create.ts';
import { createLocalStore, type LocalStore } from '../../../storage/local.ts';
import { curl, curlPut } from './curl.ts';
import { keys, sha256, shell, storeSuite } from './store-suite.ts';

let directory: string;
let server: Server;
let store: LocalStore;
let publicUrl: string;
const signingKey = 'k'.repeat(40);
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'prominence-objects-'));
  const app = new Hono();
  server = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }) as Server;
  await once(server, 'listening');
  publicUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  store = createObjectStore({ kind: 'local', directory }, { publicUrl, signingKey }) as LocalStore;
  await store.ensureReady();
  app.route('/', objectRoutes(store, { refuse: async () => {}, record: async () => {} }));
});
afterAll(async () => {
  server?.closeAllConnections();
  server?.close();
  await rm(directory, { recursive: true, force: true });
});

describe('the local folder', () => {
  storeSuite(() => store, { isServedHere: true });

  test('refuses bytes of another sum, and keeps what was there', async () => {
    const key = 'sum/x';
    await curlPut(await store.presignPut(key, 60), 'before');
    const url = await store.presignPut(key, 60, { sha256: sha256('hello') });
    const refused = await curlPut(url, 'hellx');
    expect(refused.status).toBe(400);
    expect(JSON.parse(refused.body.toString()).error).toMatch(/SHA-256/);
    expect((await curl(await store.presignGet(key, 60))).body.toString()).toBe('before');
    expect(await readdir(join(directory, 'incoming'))).toEqual([]);
    expect((await curlPut(url, 'hello')).status).toBe(200);
  });

  test('a sum, an expiry or a method can be changed by nobody', async () => {
    const url = new URL(await store.presignPut('tamper/x', 60, { sha256: sha256('hello') }));
    for (const change of [
      (u: URL) => u.searchParams.delete('sha256'),
      (u: URL) => u.searchParams.set('sha256', sha256('other')),
      (u: URL) => u.searchParams.set('expires', String(Number(u.searchParams.get('expires')) + 1)),
      (u: URL) => u.searchParams.set('expires', 'never'),
      (u: URL) => u.searchParams.set('signature', '00'),
      (u: URL) => u.searchParams.delete('signature'),
      (u: URL) => (u.pathname = '/objects/tamper/%ff'),
    ]) {
      const changed = new URL(url);
      change(changed);
      expect((await curlPut(changed.href, 'other')).status).toBe(403);
      expect((await curl(changed.href)).status).toBe(403);
    }
    const foreign = createLocalStore({ directory, publicUrl, signingKey: 'another'.repeat(8) });
    expect((await curlPut(await foreign.presignPut('tamper/x', 60), 'x')).status).toBe(403);
    expect(await keys(store, 'tamper/')).toEqual([]);
  });

  test('answers HEAD with the right to GET', async () => {
    await curlPut(await store.presignPut('head/x', 60), '12345');
    const answer = await curl(await store.presignGet('head/x', 60), '-I');
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-length')).toBe('5');
    expect(answer.headers.get('etag')).toMatch(/^".+"$/);
    expect(Date.parse(answer.headers.get('last-modified')!)).toBeGreaterThan(Date.now() - 60_000);
    expect((await curl(await store.presignGet('head/y', 60), '-I')).status).toBe(404);
  });

  test('goes on with a broken download only if the object is the same', async () => {
    await curlPut(await store.presignPut('if-range/x', 60), '0123456789');
    const url = await store.presignGet('if-range/x', 60);
    const etag = (await curl(url)).headers.get('etag')!;
    expect((await curl(url, '-r', '5-', '-H', `If-Range: ${etag}`)).body.toString()).toBe('56789');
    await curlPut(await store.presignPut('if-range/x', 60), 'abcdefghij');
    const answer = await curl(url, '-r', '5-', '-H', `If-Range: ${etag}`);
    expect([answer.status, answer.body.toString()]).toEqual([200, 'abcdefghij']);
  });

  test.each([
    '../../etc/passwd',
    '..',
    'a/../../b',
    'a/./b',
    '/leading',
    'trailing/',
    'double//slash',
    'nul\0byte',
    'new\nline',
    'a.d/b.o',
    '%2e%2e/x',
    `long/${'é'.repeat(300)}/${'x'.repeat(200)}`,
    'x'.repeat(1024),
  ])('keeps the key %j inside, by itself, and reads it back', async (key) => {
    if (key === '..') {
      await expect(store.presignPut(key, 60)).rejects.toThrow(/only dots/);
      return;
    }
    await curlPut(await store.presignPut(key, 60), key.replaceAll('\0', '0')).then((a) => expect(a.status).toBe(200));
    expect((await curl(await store.presignGet(key, 60))).body.toString()).toBe(key.replaceAll('\0', '0'));
    expect(await keys(store, key)).toEqual([key]);
    expect(await readdir(directory)).toEqual(['incoming', 'objects']);
    await store.delete(key);
    expect(await keys(store, key)).toEqual([]);
  });

  test('an object can stand beside a folder of its name', async () => {
    const all = ['beside/a', 'beside/a/b', 'beside/a/b/c', 'beside/a.o', 'beside/a.d/x', 'beside/'];
    for (const key of all) expect((await curlPut(await store.presignPut(key, 60), key)).status).toBe(200);
    for (const key of all) expect((await curl(await store.presignGet(key, 60))).body.toString()).toBe(key);
    expect(await keys(store, 'beside/')).toEqual([...all].sort());
    await store.delete('beside/a');
    expect(await keys(store, 'beside/a')).toEqual(
      all.filter((key) => key.startsWith('beside/a') && key !== 'beside/a').sort(),
    );
  });

  test('a deleted object leaves no empty folder', async () => {
    await curlPut(await store.presignPut('empty-folders/a/b/c', 60), 'x');
    await store.delete('empty-folders/a/b/c');
    expect(await readdir(join(directory, 'objects'))).not.toContain('empty-folders.d');
  });

  test('writes and deletes side by side all succeed, and the last complete write stays', async () => {
    const bodies = Array.from({ length: 40 }, (_, i) => String(i).repeat(5000));
    const url = await store.presignPut('race/a/b', 60);
    await Promise.all(
      bodies.map(async (body, i) => {
        if (i % 4 === 3) await store.delete('race/a/b');
        expect((await fetch(url, { method: 'PUT', body })).status).toBe(200);
      }),
    );
    const stored = (await curl(await store.presignGet('race/a/b', 60))).body.toString();
    expect(bodies).toContain(stored);
    await fetch(url, { method: 'PUT', body: 'last' });
    expect((await curl(await store.presignGet('race/a/b', 60))).body.toString()).toBe('last');
    expect(await readdir(join(directory, 'incoming'))).toEqual([]);
  });

  test.each([
    ['with a length', 'Content-Length: 1000000', 'x'.repeat(1000)],
    ['in chunks', 'Transfer-Encoding: chunked', `3e8\r\n${'x'.repeat(1000)}\r\n`],
  ])('a PUT %s that breaks off leaves nothing', async (_, header, body) => {
    const url = new URL(await store.presignPut('aborted/x', 60));
    const socket = connect(Number(url.port), '127.0.0.1');
    socket.write(`PUT ${url.pathname}${url.search} HTTP/1.1\r\nHost: x\r\n${header}\r\n\r\n${body}`);
    await eventually(async () => (await readdir(join(directory, 'incoming'))).length === 1);
    socket.destroy();
    await eventually(async () => (await readdir(join(directory, 'incoming'))).length === 0);
    expect(await store.head('aborted/x')).toBeUndefined();
  });

  test('a download that breaks off closes its file', async () => {
    await shell('head -c 50000000 /dev/zero | curl -sS -T - "$1"', [await store.presignPut('broken-get/x', 60)]);
    const url = new URL(await store.presignGet('broken-get/x', 60));
    const socket = connect(Number(url.port), '127.0.0.1');
    socket.write(`GET ${url.pathname}${url.search} HTTP/1.1\r\nHost: x\r\n\r\n`);
    await once(socket, 'data');
    expect(await openFiles('broken-get')).toBe(1);
    socket.destroy();
    await eventually(async () => (await openFiles('broken-get')) === 0);
  });

  test('an upload without a right is answered before its end', async () => {
    const url = (await store.presignPut('refused/x', 60)).replace('signature=', 'signature=0');
    const status = await shell('head -c 50000000 /dev/zero | curl -s -o /dev/null -w "%{http_code}" -T - "$1"', [url]);
    expect(status).toBe('403');
  });

  test('what a killed process left is removed when it is a day old', async () => {
    const [old, recent] = ['old', 'recent'].map((name) => join(directory, 'incoming', name)) as [string, string];
    await writeFile(old, 'x');
    await writeFile(recent, 'x');
    const time = new Date(Date.now() - 25 * 3600 * 1000);
    await utimes(old, time, time);
    await store.ensureReady();
    expect(await readdir(join(directory, 'incoming'))).toEqual(['recent']);
    await rm(recent);
  });

  test('a folder that can not be used is told', async () => {
    const file = join(directory, 'incoming', 'file');
    await writeFile(file, '');
    const broken = createLocalStore({ directory: file, publicUrl, signingKey });
    await expect(broken.ensureReady()).rejects.toThrow(/object folder can't be used/);
    await rm(file);
  });
});

/** Files below the folder that this process, which is the server too, has open. */
async function openFiles(part: string): Promise<number> {
  const targets = await Promise.all(
    (await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')),
  );
  return targets.filter((target) => target.includes(part)).length;
}

async function eventually(condition: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 90_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error('the condition did not come true within 90 s');
    await pause(20);
  }
}
