import { expect, it } from 'vitest';
import { parseChallenge, parseReference, pinned } from './registry.ts';

it.each([
  ['busybox', { host: 'registry-1.docker.io', repository: 'library/busybox', tag: 'latest' }],
  ['user/name:1.0', { host: 'registry-1.docker.io', repository: 'user/name', tag: '1.0' }],
  ['localhost/name', { host: 'localhost', repository: 'name', tag: 'latest' }],
  ['host:5000/a/b/c:t', { host: 'host:5000', repository: 'a/b/c', tag: 't' }],
  ['ghcr.io/a/b', { host: 'ghcr.io', repository: 'a/b', tag: 'latest' }],
])('reads the reference %s as its registry would', (reference, parsed) => {
  expect(parseReference(reference)).toEqual(parsed);
});

it('refuses what is no reference', () => {
  for (const reference of ['', 'A/B', 'a b', 'host:5000/../x', 'x@sha256:1']) {
    expect(parseReference(reference), reference).toBeUndefined();
  }
});

it('replaces a tag by a digest, and not the port of a registry', () => {
  expect(pinned('host:5000/a:1', 'sha256:d')).toBe('host:5000/a@sha256:d');
  expect(pinned('host:5000/a', 'sha256:d')).toBe('host:5000/a@sha256:d');
  expect(pinned('busybox', 'sha256:d')).toBe('busybox@sha256:d');
  expect(pinned('busybox:1@sha256:o', 'sha256:d')).toBe('busybox@sha256:d');
});

it('reads where to get a token', () => {
  expect(parseChallenge('Bearer realm="https://auth/token",service="reg",scope="repository:a:pull"')).toEqual({
    scheme: 'bearer',
    parameters: { realm: 'https://auth/token', service: 'reg', scope: 'repository:a:pull' },
  });
});
