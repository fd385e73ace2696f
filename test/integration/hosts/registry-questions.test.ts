/** What our own process asks a registry, and what it takes from one that lies. */
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { resolveDigest } from '../../../hosts/registry.ts';
import { digestOf, manifestType, type RegistryContent } from '../../ground/made-images.ts';
import { startMadeRegistry, type MadeRegistry } from '../../ground/made-registry.ts';

let registry: MadeRegistry;
let other: MadeRegistry;
beforeAll(async () => {
  registry = await startMadeRegistry();
  other = await startMadeRegistry();
});
afterAll(() => Promise.all([registry.close(), other.close()]));
beforeEach(() => {
  for (const each of [registry, other]) {
    each.requests.length = 0;
    each.intercept = undefined;
  }
});
const content: RegistryContent = { manifest: Buffer.from('{}'), mediaType: manifestType, blobs: new Map() };
const digest = digestOf('{}');
const credential = { username: 'me', token: 'secret' };
const basic = `Basic ${Buffer.from('me:secret').toString('base64')}`;

it('asks for what has a digest as well, with the credential', async () => {
  const { pinned: reference } = registry.put('a/b', content);
  expect(await resolveDigest({ reference, credential, insecure: true })).toBe(digest);
  expect(registry.requests).toMatchObject([{ line: `HEAD /v2/a/b/manifests/${digest}` }]);
  const absent = { reference: `${registry.host}/a/c@${digest}`, insecure: true };
  await expect(resolveDigest(absent)).rejects.toMatchObject({ code: 'notFound' });
});

it.each(['../../../.ssh/authorized_keys', 'sha256:x', `sha256:${'A'.repeat(64)}`, `sha512:${'0'.repeat(64)}`, ''])(
  'takes no digest from a registry that is none: %s',
  async (told) => {
    const { tagged: reference } = registry.put('a/b', content);
    registry.content.set('a/b/manifests/latest', { body: content.manifest, digest: told });
    expect(await resolveDigest({ reference, insecure: true })).toBe(digest);
  },
);

it('does not ask a registry at a private address, unless an operator says so', async () => {
  const { tagged: reference } = registry.put('a/b', content);
  expect(await resolveDigest({ reference, insecure: false })).toBeUndefined();
  expect(registry.requests).toEqual([]);
});

it('takes a credential, or a question, nowhere else for a registry', async () => {
  const { tagged: reference } = registry.put('a/b', content);
  for (const intercept of [
    { status: 307, headers: { location: `http://${'OTHER'}/v2/a/b/manifests/latest` } },
    { status: 401, headers: { 'www-authenticate': `Bearer realm="http://${'OTHER'}/token",service="x"` } },
    { status: 401, headers: { 'www-authenticate': 'Bearer realm="file:///etc/passwd"' } },
  ]) {
    registry.intercept = (_, response) => {
      const headers = Object.entries(intercept.headers).map(([key, value]) => [
        key,
        value.replace('OTHER', other.host),
      ]);
      response.writeHead(intercept.status, Object.fromEntries(headers) as Record<string, string>).end();
      return true;
    };
    await resolveDigest({ reference, credential, insecure: true }).catch(() => undefined);
    expect(other.requests).toEqual([]);
  }
});

it('gives the token of its own registry, however much that says', async () => {
  const { tagged: reference } = registry.put('a/b', content);
  let token = JSON.stringify({ token: 'good' });
  registry.intercept = ({ url, headers }, response) => {
    if (url?.startsWith('/token')) {
      response.writeHead(headers.authorization === basic ? 200 : 403).end(token);
      return true;
    }
    if (headers.authorization === 'Bearer good') return false;
    response.writeHead(401, { 'www-authenticate': `Bearer realm="http://${registry.host}/token",scope="s"` }).end();
    return true;
  };
  expect(await resolveDigest({ reference, credential, insecure: true })).toBe(digest);
  await expect(resolveDigest({ reference, insecure: true })).rejects.toMatchObject({ code: 'unauthorized' });
  for (const bad of ['not json', 'null', '{"token":{}}', '{"token":"a\\r\\nb: c"}']) {
    token = bad;
    await expect(resolveDigest({ reference, credential, insecure: true }), bad).rejects.toMatchObject({
      code: 'unauthorized',
    });
  }
  token = ' '.repeat(3_000_000);
  expect(await resolveDigest({ reference, credential, insecure: true })).toBeUndefined();
});
