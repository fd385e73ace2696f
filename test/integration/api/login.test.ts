/** Users of the upstream client register and log in through us at a real OpenID provider, in each way we offer. */
import { createServer } from 'node:http';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getRequestListener } from '@hono/node-server';
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { IssuerConfig, LoginConfig } from '../../../config/config.ts';
import { startOidcIssuer, type OidcIssuer } from '../../ground/oidc-issuer.ts';
import { eventually } from '../../ground/rest.ts';
import { findUpstreamClient, UpstreamClient } from '../../ground/upstream-client.ts';
import { startApi, type TestApi } from './api.ts';

let issuer: OidcIssuer;
let programs: string;
let folder: string;
const closings: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  programs = await findUpstreamClient();
  folder = mkdtempSync(join(tmpdir(), 'prominence-login-'));
  issuer = await startOidcIssuer((username) => ({
    preferred_username: username,
    email: `${username}@example.org`,
    groups: username === 'gregor' ? ['lab'] : [],
    edu_person_entitlements: username === 'stranger' ? ['vo:other'] : ['vo:fusion', 'vo:fusion:role=member'],
  }));
});
afterAll(async () => {
  for (const close of closings) await close();
  await issuer.stop();
  rmSync(folder, { recursive: true, force: true });
});

const claims: IssuerConfig['claims'] = {
  owner: 'preferred_username',
  groups: 'groups',
  email: 'email',
  entitlements: 'edu_person_entitlements',
};

async function served(
  login: Partial<LoginConfig> = {},
  changes: Partial<IssuerConfig> = {},
): Promise<{ api: TestApi; url: string }> {
  const trusted: IssuerConfig = { issuer: issuer.url, audience: 'any', verify: 'jwks', claims, ...changes };
  const api = await startApi({ issuers: [trusted], login: { issuer: trusted.issuer, ...login } });
  const server = createServer((request, response) => void getRequestListener(api.app.fetch)(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closings.push(async () => {
    server.closeAllConnections();
    server.close();
    await api.close();
  });
  return { api, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

function clientAt(url: string, name: string): UpstreamClient {
  const settings = { url: `${url}/prominence/v1`, oidcUrl: url, token: undefined, folder: join(folder, name) };
  return new UpstreamClient(settings, programs);
}

async function logIn(client: UpstreamClient, username: string) {
  const login = client.start('login');
  const [, page = '', code = ''] = await eventually(
    () => Promise.resolve(/open the page (\S+) and enter the code (\S+) when/.exec(login.stdout()) ?? undefined),
    () => `the client did not tell a code: ${login.stdout()}`,
    30,
  );
  await issuer.approve(page, code, username);
  return login.ended;
}

const stored = (client: UpstreamClient, name: string) =>
  JSON.parse(readFileSync(join(client.home, '.prominence', name), 'utf8')) as Record<string, unknown>;

test('a client registers itself at the issuer, logs in, and its token is accepted', async () => {
  const { url } = await served({ resource: issuer.resource }, { audience: 'prominence-api' });
  const client = clientAt(url, 'dynamic');
  expect(await client.run('register')).toMatchObject({ exitCode: 0, stdout: 'Client registration successful\n' });
  const ended = await logIn(client, 'gregor');
  expect(ended).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('Successfully retrieved token') });
  expect(decodeJwt(stored(client, 'token')['access_token'] as string)).toMatchObject({ iss: issuer.url });
  expect(await client.run('list')).toMatchObject({ exitCode: 0 });
});

test('an opaque token of the issuer becomes one of ours, for whom the issuer says it is', async () => {
  const required = { fusion: ['vo:fusion', 'vo:fusion:role=member'] };
  const { api, url } = await served({}, { requiredEntitlements: required });
  const client = clientAt(url, 'opaque');
  await client.run('register');
  expect(await logIn(client, 'olga')).toMatchObject({ exitCode: 0 });
  const token = stored(client, 'token');
  expect(decodeJwt(token['access_token'] as string)).toMatchObject({ iss: 'prominence', username: 'olga' });
  expect(token['expires_in']).toBe(600);
  const [id] = /\d+/.exec((await client.run('create', 'busybox')).stdout) ?? [];
  expect(await api.connection.sql`select owner, groups, email from jobs where id = ${id!}`).toEqual([
    { owner: 'olga', groups: ['fusion'], email: 'olga@example.org' },
  ]);
});

test('a configured client is handed out without its secret, which works all the same', async () => {
  const { url } = await served({
    clientId: issuer.client.id,
    clientSecret: issuer.client.secret,
    resource: issuer.resource,
  });
  const client = clientAt(url, 'configured');
  expect(await client.run('register')).toMatchObject({ exitCode: 0 });
  expect(stored(client, 'client')).toMatchObject({ client_id: issuer.client.id });
  expect(JSON.stringify(stored(client, 'client'))).not.toContain(issuer.client.secret);
  expect(await logIn(client, 'karla')).toMatchObject({ exitCode: 0 });
  expect(await client.run('list')).toMatchObject({ exitCode: 0 });
});

const json = (body: string): RequestInit => ({ method: 'POST', headers: { 'content-type': 'application/json' }, body });
const form = (members: Record<string, string>, headers: Record<string, string> = {}): RequestInit => ({
  method: 'POST',
  headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
  body: new URLSearchParams(members).toString(),
});
const grantType = 'urn:ietf:params:oauth:grant-type:device_code';

test('a user without the entitlements gets no token, and is told why', async () => {
  const { api, url } = await served({}, { requiredEntitlements: { fusion: ['vo:fusion'] } });
  const registered = (await (await fetch(`${url}/register`, json('{}'))).json()) as {
    client_id: string;
    client_secret: string;
  };
  const { client_id: id, client_secret: secret } = registered;
  const basic = { authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}` };
  const begun = await api.app.request('/devicecode', form({ client_id: id, scope: 'openid profile' }, basic));
  const device = (await begun.json()) as { verification_uri: string; user_code: string; device_code: string };
  const poll = () => api.app.request('/token', form({ grant_type: grantType, device_code: device.device_code }, basic));
  expect(await (await poll()).json()).toMatchObject({ error: 'authorization_pending' });
  await issuer.approve(device.verification_uri, device.user_code, 'stranger');
  const refused = await poll();
  expect(refused.status).toBe(403);
  expect(await refused.json()).toEqual({ error: 'the entitlements of this user do not suffice' });
});

test('what is no login is refused in our form, and never carried to the issuer', async () => {
  const { api } = await served();
  const ask = async (path: string, init: RequestInit) => {
    const response = await api.app.request(path, { method: 'POST', ...init });
    return { status: response.status, ...((await response.json()) as { error: string }) };
  };
  expect(await ask('/register', json('x'))).toEqual({ status: 400, error: 'The request body is not valid JSON' });
  expect(await ask('/register', json(`[1${',1'.repeat(40_000)}]`))).toMatchObject({ status: 413 });
  expect(await ask('/devicecode', json('{}'))).toMatchObject({
    status: 415,
  });
  expect(await ask('/devicecode', form({ scope: 'openid' }))).toMatchObject({ status: 401, error: 'invalid_client' });
  const stranger = { client_id: 'nobody', client_secret: 'x' };
  expect(await ask('/devicecode', form(stranger))).toMatchObject({ status: 401, error: 'invalid_client' });
  expect(await ask('/token', form({ ...stranger, grant_type: 'password', username: 'a' }))).toMatchObject({
    status: 400,
    error: 'unsupported_grant_type',
  });
  expect(await ask('/token', form({ ...stranger, grant_type: grantType }))).toMatchObject({ status: 400 });
  expect((await api.app.request('/token')).status).toBe(405);
});

test('an issuer that is away, or without the device flow, is told; without a login there are no such paths', async () => {
  const closed = await startOidcIssuer(() => ({}), { hasRegistration: false });
  const { api } = await served({ issuer: closed.url }, { issuer: closed.url });
  const register = () => api.app.request('/register', json('{}'));
  expect((await register()).status).toBe(503);
  await closed.stop();
  const away = await register();
  expect(away.status).toBe(503);
  expect(await away.json()).toEqual({ error: 'The identity provider does not answer as it should' });

  const without = await startApi();
  expect((await without.app.request('/register', json('{}'))).status).toBe(404);
  await without.close();
});
