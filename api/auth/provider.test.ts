import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { askerOf, discovery, ProviderUnreachable } from './provider.ts';

/** The issuer, and another server on loopback, which is as private. */
const servers: Server[] = [];
const asked: string[] = [];
let [issuer, victim] = ['', ''];
let answer: { status: number; headers: Record<string, string>; body: string | Buffer };
beforeAll(async () => {
  for (const name of ['issuer', 'victim']) {
    const server = createServer((request, response) => {
      asked.push(`${name} ${request.url}`);
      response.writeHead(answer.status, answer.headers).end(answer.body);
    }).listen(0, '127.0.0.1');
    servers.push(server);
    await once(server, 'listening');
  }
  [issuer = '', victim = ''] = servers.map((each) => `http://127.0.0.1:${(each.address() as AddressInfo).port}`);
});
afterAll(() =>
  servers.forEach((server) => {
    server.closeAllConnections();
    server.close();
  }),
);
beforeEach(() => {
  asked.length = 0;
  answer = { status: 200, headers: {}, body: '{}' };
});

it('asks an issuer wherever the operator put it, and what it names elsewhere at public addresses only', async () => {
  answer.body = JSON.stringify({ issuer, jwks_uri: `${victim}/keys` });
  const ask = askerOf({ issuer });
  const { jwks_uri: keys } = await discovery(issuer, ask)();
  await expect(ask(keys!)).rejects.toThrow(ProviderUnreachable);
  expect(asked).toEqual(['issuer /.well-known/openid-configuration']);
  const listed = askerOf({ issuer, privateHosts: [new URL(victim).host] });
  expect((await listed(keys!)).status).toBe(200);
});

it('follows no redirect to a private address, and none at all with a credential', async () => {
  answer = { status: 302, headers: { location: `${victim}/` }, body: '' };
  const ask = askerOf({ issuer });
  await expect(discovery(issuer, ask)()).rejects.toThrow(ProviderUnreachable);
  await expect(ask(`${issuer}/userinfo`, { headers: { authorization: 'Bearer x' } })).rejects.toThrow(
    ProviderUnreachable,
  );
  expect(asked.filter((line) => line.startsWith('victim'))).toEqual([]);
});

it('takes an answer of a sane size only', async () => {
  answer.body = Buffer.alloc(2_000_000, ' ');
  await expect(askerOf({ issuer })(`${issuer}/keys`)).rejects.toThrow(ProviderUnreachable);
});
