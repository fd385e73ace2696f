import { expect, it } from 'vitest';
import { builderError, curlError, httpError } from './image-errors.ts';

it.each([
  ['FATAL: reading manifest 1 in host:5000/x: manifest unknown', 'notFound'],
  ['FATAL: requested access to the resource is denied', 'unauthorized'],
  ['FATAL: authentication required', 'unauthorized'],
  ['FATAL: write /x/layer: no space left on device', 'diskFull'],
  ['FATAL: dial tcp 10.0.0.1:443: connect: connection refused', 'transient'],
  ['FATAL: received unexpected HTTP status 503: 503 Service Unavailable', 'transient'],
  ['FATAL: something nobody saw before', 'transient'],
])('tells what a registry pull failed of: %s', (stderr, code) => {
  expect(builderError('registry', stderr)).toMatchObject({ code });
});

it('takes a broken archive for broken, whatever its words', () => {
  expect(builderError('archive', 'FATAL: while reading: unexpected EOF')).toMatchObject({ code: 'invalid' });
  expect(builderError('archive', 'FATAL: mksquashfs: signal: killed')).toMatchObject({ code: 'transient' });
  expect(builderError('archive', 'no space left on device')).toMatchObject({ code: 'diskFull' });
});

it('tells the fatal words, without colours and progress', () => {
  const stderr = '\u001b[34mINFO:    Starting build\u001b[0m\n\u001b[31mFATAL:   manifest unknown\u001b[0m\n';
  expect(builderError('registry', stderr).message).toBe('manifest unknown');
});

it('reads status codes and exit codes of a download', () => {
  expect([404, 403, 400, 500, 429].map((status) => httpError(status).code)).toEqual([
    'notFound',
    'unauthorized',
    'invalid',
    'transient',
    'transient',
  ]);
  expect([7, 23, 3].map((code) => curlError(code, '').code)).toEqual(['transient', 'diskFull', 'invalid']);
});
