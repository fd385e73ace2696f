import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { objectSha256 } from '../../../storage/checksum.ts';
import { StorageError } from '../../../storage/errors.ts';
import { createS3Store, type S3Options, type S3Store } from '../../../storage/s3.ts';
import { startS3, type S3Server } from '../../ground/s3.ts';
import { curl, curlPut } from './curl.ts';
import { sha256, storeSuite } from './store-suite.ts';

let server: S3Server;
let options: S3Options;
let store: S3Store;
beforeAll(async () => {
  server = await startS3();
  options = {
    endpoint: server.endpoint,
    region: 'us-east-1',
    bucket: 'prominence',
    accessKeyId: server.accessKeyId,
    secretAccessKey: server.secretAccessKey,
    forcePathStyle: true,
  };
  store = createS3Store(options);
  await store.ensureReady();
});
afterAll(async () => {
  store?.close();
  await server?.stop();
});

describe('S3', () => {
  storeSuite(() => store);

  test('a checksum is in the signed query, so that a plain PUT works and nobody can take it out', async () => {
    const url = new URL(await store.presignPut('checksum/x', 60, { sha256: sha256('hello') }));
    expect(url.searchParams.get('x-amz-checksum-sha256')).toBe(Buffer.from(sha256('hello'), 'hex').toString('base64'));
    expect(url.searchParams.get('X-Amz-SignedHeaders')).toBe('host');
    url.searchParams.delete('x-amz-checksum-sha256');
    expect((await curlPut(url.href, 'hello')).status).toBe(403);
  });

  test('other bytes are refused, or known by their sum afterwards: not every server checks a sum in the query', async () => {
    const url = await store.presignPut('checksum/y', 60, { sha256: sha256('hello') });
    const { status } = await curlPut(url, 'other');
    if (status === 200) expect(await objectSha256(store, 'checksum/y')).not.toBe(sha256('hello'));
    else expect(status).toBe(400);
  });

  test('signed URLs are made for the public endpoint', async () => {
    const publicEndpoint = server.endpoint.replace('127.0.0.1', 'localhost');
    const other = createS3Store({ ...options, publicEndpoint });
    const url = await other.presignPut('public/x', 60);
    expect(url.startsWith(publicEndpoint)).toBe(true);
    expect((await curlPut(url, 'x', '-4')).status).toBe(200);
    expect((await other.head('public/x'))?.sizeBytes).toBe(1);
    expect((await curl(await other.presignGet('public/x', 60), '-4')).status).toBe(200);
    other.close();
  });

  test('what makes it unusable is told with the place', async () => {
    const denied = createS3Store({ ...options, secretAccessKey: 'wrong' });
    const gone = createS3Store({ ...options, endpoint: 'http://127.0.0.1:9' });
    for (const [each, reason] of [
      [denied, /the bucket prominence at http.*can't be used:.*403/],
      [gone, /the bucket prominence at http:\/\/127\.0\.0\.1:9 can't be used:.*ECONNREFUSED/],
    ] as const) {
      const failure = await each.ensureReady().catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(StorageError);
      expect((failure as StorageError).message).toMatch(reason);
      expect((failure as StorageError).message).not.toContain('wrong');
      each.close();
    }
  });
});
