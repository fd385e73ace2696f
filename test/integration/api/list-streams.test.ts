import { serve, type ServerType } from '@hono/node-server';
import { Hono } from 'hono';
import { get, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { jsonArray, type Entries } from '../../../api/streaming.ts';

let server: ServerType | undefined;
// The server tells there of what broke off.
beforeEach(() => void vi.spyOn(console, 'error').mockImplementation(() => undefined));
afterEach(() => new Promise((resolve) => (server ? server.close(resolve) : resolve(undefined))));

/** The answer to a list of these pages, read over a socket. */
async function answerOf(pages: AsyncIterable<Entries>): Promise<IncomingMessage> {
  const app = new Hono();
  app.get('/', (c) => jsonArray(c, pages));
  await new Promise((resolve) => {
    server = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }, resolve);
  });
  const { port } = server!.address() as AddressInfo;
  return new Promise((resolve, reject) => get({ host: '127.0.0.1', port, agent: false }, resolve).on('error', reject));
}

async function textOf(answer: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of answer) pieces.push(piece as Buffer);
  return Buffer.concat(pieces).toString();
}

async function* pagesOf(...pages: Entries[]): AsyncGenerator<Entries> {
  yield* pages;
}

const large = (id: number) => ({ id, text: 'ü'.repeat(300_000) });

describe('a JSON array', () => {
  test('is sent whole when it is short', async () => {
    for (const [pages, text] of [
      [[], '[]'],
      [[[], []], '[]'],
      [[[], [{ a: 1 }, Promise.resolve('ü')], [], [3]], '[{"a":1},"ü",3]'],
    ] as [Entries[], string][]) {
      const answer = await answerOf(pagesOf(...pages));
      expect(answer.headers).toMatchObject({
        'content-type': 'application/json',
        'content-length': String(Buffer.byteLength(text)),
      });
      expect(await textOf(answer)).toBe(text);
    }
  });

  test('has all entries of all pages when it comes in pieces', async () => {
    const entries = Array.from({ length: 40 }, (_, id) => large(id));
    const small = Array.from({ length: 9000 }, (_, id) => ({ id }));
    const answer = await answerOf(pagesOf([], entries, small, [], entries));
    expect(JSON.parse(await textOf(answer))).toEqual([...entries, ...small, ...entries]);
  });

  test('is an error when its first piece can not be made', async () => {
    const page = function* () {
      yield 1;
      yield Promise.reject(new Error('nothing there'));
    };
    const answer = await answerOf(pagesOf(page()));
    expect(answer.statusCode).toBe(500);
  });

  test('that breaks off in the middle breaks the connection, and tells nothing of why', async () => {
    const answer = await answerOf(
      (async function* () {
        yield [large(1), large(2)];
        throw new Error('the secret reason');
      })(),
    );
    expect(answer.statusCode).toBe(200);
    const pieces: Buffer[] = [];
    answer.on('data', (piece: Buffer) => pieces.push(piece));
    await new Promise((resolve) => answer.once('close', resolve));
    expect(answer.complete).toBe(false);
    const text = Buffer.concat(pieces).toString();
    expect(() => JSON.parse(text) as unknown).toThrow();
    expect(text).not.toContain('secret');
  });

  test('is made no faster than it is read, one entry at a time', async () => {
    let made = 0;
    const count = 100;
    const page = function* () {
      for (let id = 0; id < count; id += 1) {
        made += 1;
        yield large(id);
      }
    };
    const answer = await answerOf(pagesOf(page()));
    // Nobody reads. What fits into the buffers of sockets is made, and then nothing for a while.
    for (let before = -1; before !== made;) {
      before = made;
      await pause(200);
    }
    expect(made).toBeLessThan(count / 2);
    expect(JSON.parse(await textOf(answer))).toHaveLength(count);
  });
});
