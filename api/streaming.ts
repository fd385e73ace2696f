/**
 * Answers of any length, written piece by piece so that memory does not grow with them. The first piece is awaited
 * before the answer begins: what goes wrong until then can still be told as an error.
 */
import { ReadableStream } from 'node:stream/web';
import type { Context } from 'hono';

type Pieces<T> = AsyncGenerator<T, void>;

/** A JSON array of the entries of all pages; pages must not be empty. */
export async function jsonArray(c: Context, pages: Pieces<unknown[]>): Promise<Response> {
  const first = await pages.next();
  if (first.done) return c.json([]);
  const second = await pages.next();
  if (second.done) return c.json(first.value);
  return c.body(asBody(arrayText(first.value, second.value, pages)), 200, { 'Content-Type': 'application/json' });
}

/** The charset must be told: clients would read the bytes as Latin-1 otherwise. */
export async function plainText(c: Context, pieces: Pieces<Uint8Array<ArrayBufferLike>>): Promise<Response> {
  const headers = { 'Content-Type': 'text/plain; charset=utf-8' };
  const first = await pieces.next();
  if (first.done) return c.body('', 200, headers);
  return c.body(asBody(following(first.value, pieces)), 200, headers);
}

async function* arrayText(first: unknown[], second: unknown[], pages: Pieces<unknown[]>): Pieces<Uint8Array> {
  const encode = (text: string) => new TextEncoder().encode(text);
  const entries = (page: unknown[]) => page.map((entry) => JSON.stringify(entry)).join(',');
  yield encode(`[${entries(first)}`);
  yield encode(`,${entries(second)}`);
  for await (const page of pages) yield encode(`,${entries(page)}`);
  yield encode(']');
}

async function* following<T>(first: T, rest: Pieces<T>): Pieces<T> {
  yield first;
  yield* rest;
}

/** Node's stream is the web's, but its type is another. */
const asBody = (pieces: Pieces<Uint8Array>) => ReadableStream.from(pieces) as unknown as globalThis.ReadableStream;
