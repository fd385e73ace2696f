import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { expect, it } from 'vitest';
import { createOutside } from '../outbound/outside.ts';
import { fetchAndConvert } from './archive-conversion.ts';

it('fetches nothing from a private address for a user, and from the object store wherever that is', async () => {
  let asked = 0;
  const server = createServer((_, response) => {
    asked += 1;
    response.end(gzipSync('content'));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const artifact = { url: `http://${host}/x.gz`, filename: 'x.gz' };
  await expect(fetchAndConvert(createOutside([]), artifact, 'gz')).rejects.toMatchObject({
    name: 'DownloadError',
    isAway: false,
    message: expect.stringContaining('not a public address') as string,
  });
  expect(asked).toBe(0);
  const { stream } = await fetchAndConvert(createOutside([host]), artifact, 'gz');
  expect((await stream.toArray()).join('')).toBe('content');
  server.close();
});
