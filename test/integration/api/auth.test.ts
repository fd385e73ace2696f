import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { issueToken } from '../../../api/auth/tokens.ts';
import type { IssuerConfig } from '../../../config/config.ts';
import { pickPort } from '../../../scripts/stack/ports.ts';
import { clientOf, job, signingKey, startApi, type Client, type TestApi } from './api.ts';

/** An OpenID provider: discovery, keys and userinfo over HTTP. */
class Provider {
  url = '';
  userinfoCalls = 0;
  key!: CryptoKey;
  publicJwk!: JWK;
  #server!: Server;
  #port = 0;

  async start(): Promise<void> {
    if (!this.publicJwk) {
      const pair = await generateKeyPair('RS256', { extractable: true });
      this.key = pair.privateKey;
      this.publicJwk = { ...(await exportJWK(pair.publicKey)), kid: 'k1', alg: 'RS256', use: 'sig' };
    }
    this.#server = createServer((request, response) => {
      const answer = this.#answer(request.url ?? '', request.headers.authorization);
      response.writeHead(answer ? 200 : 401, { 'Content-Type': 'application/json' }).end(JSON.stringify(answer ?? {}));
    });
    this.#port ||= await pickPort(undefined, new Set());
    await once(this.#server.listen(this.#port, '127.0.0.1'), 'listening');
    this.url = `http://127.0.0.1:${this.#port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #answer(path: string, authorization: string | undefined): unknown {
    if (path === '/.well-known/openid-configuration') {
      return { issuer: this.url, jwks_uri: `${this.url}/jwks`, userinfo_endpoint: `${this.url}/userinfo` };
    }
    if (path === '/jwks') return { keys: [this.publicJwk] };
    this.userinfoCalls += 1;
    const isKnown = authorization?.startsWith('Bearer ') && authorization !== `Bearer ${this.revoked}`;
    return isKnown ? { sub: 's', preferred_username: 'ursula', groups: ['lab'], email: 'u@x' } : undefined;
  }

  revoked = '';

  token(claims: Record<string, unknown> = {}, key: CryptoKey | Uint8Array = this.key, alg = 'RS256'): Promise<string> {
    const token = new SignJWT({
      preferred_username: 'karl',
      groups: 'lab,vo',
      email: 'k@x',
      aud: 'prominence-api',
      ...claims,
    });
    token.setProtectedHeader({ alg, kid: 'k1' });
    if (!('iss' in claims)) token.setIssuer(this.url);
    if (!('exp' in claims)) token.setExpirationTime('1h');
    return token.sign(key);
  }
}

const byKeys = new Provider();
const byUserinfo = new Provider();
const away = new Provider();
let api: TestApi;

beforeAll(async () => {
  await Promise.all([byKeys.start(), byUserinfo.start(), away.start()]);
  const claims = {
    owner: 'preferred_username',
    groups: 'groups',
    email: 'email',
    entitlements: 'edu_person_entitlements',
  };
  const issuer = (provider: Provider, verify: 'jwks' | 'userinfo'): IssuerConfig => ({
    issuer: `${provider.url}/`,
    audience: 'prominence-api',
    verify,
    claims,
  });
  api = await startApi({ issuers: [issuer(byKeys, 'jwks'), issuer(byUserinfo, 'userinfo'), issuer(away, 'jwks')] });
  await away.stop();
});
afterAll(async () => {
  await Promise.all([api.close(), byKeys.stop(), byUserinfo.stop()]);
});

const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
const ask = (authorization?: string) =>
  clientOf(api.app, authorization ? { Authorization: authorization } : {}).get('/jobs');
const refused = { status: 401, json: { error: 'Authentication failure' } };
const refusedFor = (detail: string) => ({ status: 401, json: { error: 'Authentication failure', detail } });

describe('our own tokens', () => {
  test.each(['Bearer', 'bearer', 'token', 'Token', 'TOKEN'])('are taken after the word %s', async (word) => {
    const token = await issueToken(signingKey, { username: 'anna', expiresSeconds: 60 });
    expect((await ask(`${word} ${token}`)).status).toBe(200);
  });

  test('say who someone is', async () => {
    const subject = { username: 'anna', groups: ['lab', 'vo'], email: 'a@x', expiresSeconds: 60 };
    const client = clientOf(api.app, { Authorization: `Bearer ${await issueToken(signingKey, subject)}` });
    const { json } = await client.post('/jobs', job());
    expect(await api.connection.sql`select owner, groups, email from jobs where id = ${json.id}`).toEqual([
      { owner: 'anna', groups: ['lab', 'vo'], email: 'a@x' },
    ]);
  });

  const secret = new TextEncoder().encode(signingKey);
  const own = (claims: Record<string, unknown>, alg = 'HS256') =>
    new SignJWT({ iss: 'prominence', ...claims }).setProtectedHeader({ alg }).sign(secret);
  const now = () => Math.floor(Date.now() / 1000);

  test('may have groups as one text', async () => {
    expect((await ask(`Bearer ${await own({ username: 'anna', groups: 'a, b,,', exp: now() + 60 })}`)).status).toBe(
      200,
    );
  });

  test('are refused when anything about them is wrong', async () => {
    const later = now() + 3600;
    const bad = await Promise.all([
      own({ username: 'anna' }),
      own({ username: 'anna', exp: now() - 3600 }),
      own({ username: 'anna', exp: later, nbf: now() + 1800 }),
      own({ username: '', exp: later }),
      own({ username: '..', exp: later }),
      own({ username: 'a\u0000b', exp: later }),
      own({ username: 7, exp: later }),
      own({ exp: later }),
      own({ username: 'anna', exp: later }, 'HS512'),
      own({ username: 'anna', exp: later, iss: 'elsewhere' }),
      ...[5, null, [], {}, true, '', '/'.repeat(10_000)].map((iss) => own({ username: 'anna', exp: later, iss })),
      new SignJWT({ username: 'anna' }).setProtectedHeader({ alg: 'HS256' }).setExpirationTime('1h').sign(secret),
      issueToken('another key that is long enough for HS256', { username: 'anna', expiresSeconds: 60 }),
    ]);
    for (const token of bad) expect(await ask(`Bearer ${token}`)).toMatchObject(refused);
    const unsigned = `${part({ alg: 'none' })}.${part({ iss: 'prominence', username: 'anna', exp: later })}.`;
    expect(await ask(`Bearer ${unsigned}`)).toMatchObject(refused);
  });

  test.each([undefined, 'Bearer', 'Bearer ', 'Basic YTpi', 'x', 'Bearer a b', 'Bearer opaque', 'Bearer a.b.c'])(
    'and %j is none',
    async (authorization) => {
      const answer = await ask(authorization);
      expect(answer).toMatchObject(refused);
      expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer( error="invalid_token"|$)/);
    },
  );
});

describe('tokens of a provider, by its keys', () => {
  test('are taken, with the configured claims', async () => {
    const client = clientOf(api.app, { Authorization: `Bearer ${await byKeys.token()}` });
    const { status, json } = await client.post('/jobs', job());
    expect(status).toBe(201);
    expect(await api.connection.sql`select owner, groups, email from jobs where id = ${json.id}`).toEqual([
      { owner: 'karl', groups: ['lab', 'vo'], email: 'k@x' },
    ]);
  });

  test('are refused when anything about them is wrong', async () => {
    const stranger = await generateKeyPair('RS256');
    const publicKeyAsSecret = new TextEncoder().encode(JSON.stringify(byKeys.publicJwk));
    const bad = await Promise.all([
      byKeys.token({ exp: Math.floor(Date.now() / 1000) - 60 }),
      byKeys.token({ exp: undefined }),
      byKeys.token({ nbf: Math.floor(Date.now() / 1000) + 1800 }),
      byKeys.token({ aud: 'someone else' }),
      byKeys.token({ iss: 'https://unknown.example' }),
      byKeys.token({ iss: 'prominence' }),
      byKeys.token({ preferred_username: undefined, sub: 'karl' }),
      byKeys.token({}, stranger.privateKey),
      byKeys.token({}, publicKeyAsSecret, 'HS256'),
      byKeys.token({}, new TextEncoder().encode(signingKey), 'HS256'),
      byUserinfo.token({ iss: byKeys.url }),
    ]);
    for (const token of bad) expect(await ask(`Bearer ${token}`)).toMatchObject(refused);
  });
});

test.each([
  [{}, 'k@x'],
  [{ email_verified: true }, 'k@x'],
  [{ email_verified: 'true' }, 'k@x'],
  [{ email_verified: false }, null],
  [{ email_verified: 'false' }, null],
])('of a provider that says %j of an address, it is known as %j', async (claims, email) => {
  const client = clientOf(api.app, { Authorization: `Bearer ${await byKeys.token(claims)}` });
  const { json } = await client.post('/jobs', job());
  const [row] = await api.connection.sql`select email from jobs where id = ${json.id}`;
  expect(row).toEqual({ email });
});

describe('a refusal says why, and nothing of what we know', () => {
  const soon = () => Math.floor(Date.now() / 1000) - 60;

  test('in the answer and in the header', async () => {
    const answer = await ask(`Bearer ${await byKeys.token({ exp: soon() })}`);
    expect(answer).toMatchObject(refusedFor('the token has expired'));
    expect(answer.headers.get('www-authenticate')).toBe(
      'Bearer error="invalid_token", error_description="the token has expired"',
    );
  });

  test('for each reason there is', async () => {
    const stranger = await generateKeyPair('RS256');
    const cases: [string | undefined, string][] = [
      [undefined, 'a token is needed, as `Authorization: Bearer <token>`'],
      ['opaque', 'the token is not a valid JWT'],
      [await issueToken(signingKey, { username: 'anna', expiresSeconds: -10 }), 'the token has expired'],
      [await byUserinfo.token({ exp: soon() }), 'the token has expired'],
      [await byKeys.token({ iss: 'https://unknown.example' }), 'tokens of its issuer are not accepted here'],
      [await byKeys.token({}, stranger.privateKey), 'the signature of the token is not valid'],
      [
        await issueToken('another key that is long enough for HS256', { username: 'anna', expiresSeconds: 60 }),
        'the signature of the token is not valid',
      ],
      [await byKeys.token({ aud: 'someone else' }), 'the token is meant for another service'],
      [await byUserinfo.token({ aud: 'someone else' }), 'the token is meant for another service'],
      [
        await byKeys.token({ preferred_username: undefined }),
        'the claim preferred_username of the token is not a user name',
      ],
    ];
    for (const [token, detail] of cases) {
      expect(await ask(token === undefined ? undefined : `Bearer ${token}`)).toMatchObject(refusedFor(detail));
    }
  });
});

describe('tokens of a provider, by userinfo', () => {
  test('are taken, and asked about once', async () => {
    const authorization = `Bearer ${await byUserinfo.token()}`;
    const client = clientOf(api.app, { Authorization: authorization });
    const { json } = await client.post('/jobs', job());
    expect((await ask(authorization)).status).toBe(200);
    expect(byUserinfo.userinfoCalls).toBe(1);
    expect(await api.connection.sql`select owner, groups from jobs where id = ${json.id}`).toEqual([
      { owner: 'ursula', groups: ['lab'] },
    ]);
  });

  test('are refused when the provider does, or they are over, or for someone else', async () => {
    byUserinfo.revoked = await byUserinfo.token({ jti: 'revoked' });
    expect(await ask(`Bearer ${byUserinfo.revoked}`)).toMatchObject(refused);
    const over = await byUserinfo.token({ exp: Math.floor(Date.now() / 1000) - 5 });
    expect(await ask(`Bearer ${over}`)).toMatchObject(refused);
    for (const exp of ['soon', {}]) {
      const claims = { iss: byUserinfo.url, aud: 'prominence-api', exp };
      const endless = `${part({ alg: 'none' })}.${part(claims)}.`;
      expect(await ask(`Bearer ${endless}`)).toMatchObject(refusedFor('the token has expired'));
    }
    expect(await ask(`Bearer ${await byUserinfo.token({ aud: 'other' })}`)).toMatchObject(refused);
  });
});

test('a provider that is away is told, and taken up when it is back', async () => {
  const authorization = `Bearer ${await away.token()}`;
  expect(await ask(authorization)).toMatchObject({
    status: 401,
    json: { error: 'Unable to connect to OIDC server' },
  });
  await away.start();
  expect((await ask(authorization)).status).toBe(200);
  await away.stop();
});

describe('several issuers', () => {
  const [first, second] = [new Provider(), new Provider()];
  let several: TestApi;
  beforeAll(async () => {
    await Promise.all([first.start(), second.start()]);
    const claims = { owner: 'preferred_username', groups: 'groups', email: 'email', entitlements: 'entitlements' };
    several = await startApi({
      issuers: [
        { issuer: first.url, audience: 'any', verify: 'jwks', claims },
        {
          issuer: second.url,
          audience: 'any',
          verify: 'jwks',
          claims,
          ownerPrefix: 'b:',
          groupPrefix: 'b:',
          requiredEntitlements: { vo: ['role=member'] },
        },
      ],
    });
  });
  afterAll(() => Promise.all([several.close(), first.stop(), second.stop()]));

  const as = async (provider: Provider, claims: Record<string, unknown>) =>
    clientOf(several.app, {
      Authorization: `Bearer ${await provider.token({ entitlements: 'role=member', ...claims })}`,
    });

  test('users of the same name are two users, and so are groups', async () => {
    const submit = async (client: Client) => (await client.post('/jobs', job())).json.id as number;
    const [one, other] = [
      await as(first, { preferred_username: 'alice', groups: ['lab'] }),
      await as(second, { preferred_username: 'alice', groups: ['lab', '/lab/sub'] }),
    ];
    const ids = [await submit(one), await submit(other)];
    expect(await several.connection.sql`select owner, groups from jobs where id = any(${ids}) order by id`).toEqual([
      { owner: 'alice', groups: ['lab'] },
      { owner: 'b:alice', groups: ['b:lab', 'b:lab/sub'] },
    ]);
    expect((await one.get('/jobs')).json).toMatchObject([{ id: ids[0] }]);
    expect((await other.get('/jobs')).json).toMatchObject([{ id: ids[1] }]);
    const member = await submit(await as(second, { preferred_username: 'bob', groups: [] }));
    expect(await several.connection.sql`select groups from jobs where id = ${member}`).toEqual([{ groups: ['b:vo'] }]);
  });

  test('a name that reads like one of another issuer is refused', async () => {
    const client = await as(first, { preferred_username: 'b:alice' });
    expect(await client.get('/jobs')).toMatchObject(refusedFor('the user name begins like those of another issuer'));
    expect((await (await as(second, { preferred_username: 'b:alice' })).get('/jobs')).status).toBe(200);
  });

  test('a prefix makes no name usable, and none too long', async () => {
    for (const name of ['', '..', 'x'.repeat(255), { toString: 1 }]) {
      expect(await (await as(second, { preferred_username: name })).get('/jobs')).toMatchObject(refused);
    }
  });
});
