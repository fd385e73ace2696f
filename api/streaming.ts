/**
 * Answers of any length, written piece by piece so that memory does not grow with them. The first piece is awaited
 * before the answer begins: what goes wrong until then can still be told as an error.
 */
import { ReadableStream } from 'node:stream/web';
import type { Context } from 'hono';
import { exactJson } from '../domain/exact-json.ts';

const headers = { 'Content-Type': 'application/json' };

/** Of what may have numbers as they were submitted. */
export const exactAnswer = (c: Context, value: unknown): Response => c.body(exactJson(value), 200, headers);

type Pieces<T> = AsyncGenerator<T, void>;

/** Some of an array, each made when its turn has come. An entry may be a promise. */
export type Entries = Iterable<unknown>;

/** Of text: a shorter array is sent whole. No entry is in two pieces, so that a larger one makes a larger piece. */
const pieceLength = 200_000;

/** A JSON array of the entries of all pages. More are asked for when the reader has taken the ones before. */
export async function jsonArray(c: Context, pages: AsyncIterable<Entries>): Promise<Response> {
  const pieces = arrayText(pages);
  const first = await pieces.next();
  if (first.done) return c.body(first.value, 200, headers);
  return c.body(asBody(throughout(first.value, pieces)), 200, headers);
}

/** The charset must be told: clients would read the bytes as Latin-1 otherwise. */
export async function plainText(c: Context, pieces: Pieces<Uint8Array<ArrayBufferLike>>): Promise<Response> {
  const headers = { 'Content-Type': 'text/plain; charset=utf-8' };
  const first = await pieces.next();
  if (first.done) return c.body('', 200, headers);
  return c.body(asBody(following(first.value, pieces)), 200, headers);
}

/** Returns the last piece, which is all of a short array. */
async function* arrayText(pages: AsyncIterable<Entries>): AsyncGenerator<Buffer<ArrayBuffer>, Buffer<ArrayBuffer>> {
  let text = '[';
  let separator = '';
  for await (const page of pages) {
    for (const entry of page) {
      text += separator + exactJson(await entry);
      separator = ',';
      if (text.length < pieceLength) continue;
      yield Buffer.from(text);
      text = '';
    }
  }
  return Buffer.from(`${text}]`);
}

async function* throughout<T>(first: T, rest: AsyncGenerator<T, T>): Pieces<T> {
  yield first;
  const last = yield* rest;
  yield last;
}

async function* following<T>(first: T, rest: Pieces<T>): Pieces<T> {
  yield first;
  yield* rest;
}

/** Node's stream is the web's, but its type is another. */
const asBody = (pieces: Pieces<Uint8Array>) => ReadableStream.from(pieces) as unknown as globalThis.ReadableStream;
