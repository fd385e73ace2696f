import { defaultPayloadConverter } from '@temporalio/common';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { payloadCodec } from '../../../temporal/codec.ts';
import { issueToken } from '../../../api/auth/tokens.ts';
import { signingKey, startApi, type Client, type TestApi } from './api.ts';

const keys = ['a key of this test that is long enough'];
let api: TestApi;
let operator: Client;
beforeAll(async () => {
  api = await startApi({ secretsKeys: keys });
  operator = await api.as('otto', 'operators');
});
afterAll(() => api.close());

interface JsonPayload {
  metadata: Record<string, string>;
  data: string;
}
const json = (value: unknown): JsonPayload => {
  const { metadata, data } = defaultPayloadConverter.toPayload(value)!;
  const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');
  return { metadata: { encoding: base64(metadata!['encoding']!) }, data: base64(data!) };
};

test('operators get payloads encoded and decoded as Temporal shows and takes them', async () => {
  const payloads = [json({ jobId: 7 }), json('ü')];
  const encoded = await operator.post('//codec/encode', { payloads });
  expect(encoded.status).toBe(200);
  const [first] = encoded.json.payloads as JsonPayload[];
  expect(Buffer.from(first!.metadata['encoding']!, 'base64').toString()).toBe('binary/encrypted');
  const decoded = await operator.post('//codec/decode', encoded.json);
  expect(decoded.json).toEqual({ payloads });
  expect(decoded.headers.get('cache-control')).toBe('no-store');
  // Plain ones are shown as they are.
  expect((await operator.post('//codec/decode', { payloads })).json).toEqual({ payloads });
});

test('nobody else gets anything', async () => {
  const anna = await api.as('anna', 'lab');
  const body = { payloads: [] };
  expect(await anna.post('//codec/decode', body)).toMatchObject({
    status: 403,
    json: { error: 'This is for operators: members of a group in auth.operatorGroups' },
  });
  expect((await anna.post('//codec/encode', body)).status).toBe(403);
  expect((await api.anonymous.post('//codec/decode', body)).status).toBe(401);
});

test('an operator opens the codec to a browser, for as long as the token is good', async () => {
  const page = await api.anonymous.get('//codec/session');
  expect(page.text).toContain('action="/codec/session/open"');
  const open = (token: string) =>
    api.anonymous.request('POST', '//codec/session/open', {
      headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ token }).toString(),
    });
  const token = (groups: string[]) => issueToken(signingKey, { username: 'otto', groups, expiresSeconds: 600 });
  const opened = await open(await token(['operators']));
  expect(opened.status).toBe(200);
  const set = opened.headers.get('set-cookie') ?? '';
  const [, seconds] = /; Max-Age=(\d+); Path=\/codec; HttpOnly; SameSite=Strict$/.exec(set) ?? [];
  expect(Number(seconds)).toBeGreaterThan(300);
  expect(Number(seconds)).toBeLessThanOrEqual(600);
  const Cookie = set.split(';')[0]!;
  expect((await api.anonymous.post('//codec/decode', { payloads: [] }, { Cookie })).json).toEqual({ payloads: [] });
  // For nothing else, and for nobody else.
  expect((await api.anonymous.get('/jobs', { Cookie })).status).toBe(401);
  const refused = await open(await token(['lab']));
  expect(refused.status).toBe(403);
  expect(refused.headers.get('set-cookie')).toBeNull();
  expect((await open('x')).status).toBe(401);
});

test('what is no payload, or of another key, is refused with a sentence', async () => {
  for (const body of [
    {},
    { payloads: 7 },
    { payloads: [{ data: '&' }] },
    [1],
    { payloads: [{ metadata: { a: 1 } }] },
  ]) {
    expect((await operator.post('//codec/decode', body)).status).toBe(400);
  }
  const [foreign] = await payloadCodec(['another key of another installation']).encode([
    defaultPayloadConverter.toPayload('x'),
  ]);
  const payload = {
    metadata: Object.fromEntries(
      Object.entries(foreign!.metadata!).map(([key, bytes]) => [key, Buffer.from(bytes).toString('base64')]),
    ),
    data: Buffer.from(foreign!.data!).toString('base64'),
  };
  const refused = await operator.post('//codec/decode', { payloads: [payload] });
  expect(refused).toMatchObject({ status: 400, json: { error: expect.stringMatching(/not among secrets\.keys/) } });
});

test('pages of the Temporal UI may ask, and pages of others may not', async () => {
  const asked = { 'Access-Control-Request-Method': 'POST', 'Access-Control-Request-Headers': 'authorization' };
  const preflight = (Origin: string) =>
    api.anonymous.request('OPTIONS', '//codec/decode', { headers: { Origin, ...asked } });
  const allowed = await preflight('http://temporal.example');
  expect(allowed.status).toBe(204);
  expect(allowed.headers.get('access-control-allow-origin')).toBe('http://temporal.example');
  expect(allowed.headers.get('access-control-allow-headers')).toMatch(/authorization/i);
  expect((await preflight('http://evil.example')).headers.get('access-control-allow-origin')).toBeNull();
  // A refusal can be read by the UI too, which shows it.
  const refused = await api.anonymous.post('//codec/decode', {}, { Origin: 'http://temporal.example' });
  expect(refused.status).toBe(401);
  expect(refused.headers.get('access-control-allow-origin')).toBe('http://temporal.example');
});
