/** Against real servers on loopback, which is as private as an address can be. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createOutside, wholeBody } from './outside.ts';

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

class TestServer {
  readonly requests: IncomingMessage[] = [];
  handler: Handler = (_, response) => response.end('ok');
  private readonly server: Server;
  host = '';
  constructor() {
    this.server = createServer((request, response) => {
      this.requests.push(request);
      this.handler(request, response);
    });
  }
  async start(): Promise<this> {
    await once(this.server.listen(0, '127.0.0.1'), 'listening');
    this.host = `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
    return this;
  }
  stop(): void {
    this.server.closeAllConnections();
    this.server.close();
  }
}

let near: TestServer;
let victim: TestServer;
beforeAll(async () => {
  near = await new TestServer().start();
  victim = await new TestServer().start();
});
afterAll(() => [near, victim].forEach((server) => server.stop()));
beforeEach(() => {
  for (const server of [near, victim]) {
    server.requests.length = 0;
    server.handler = (_, response) => response.end('ok');
  }
});

const limits = { mostBytes: 1000, idleMilliseconds: 2000 };

describe('addresses', () => {
  it.each([
    ['a private address', () => `http://${near.host}/`],
    ['a name of one', () => `http://localhost:${near.host.split(':')[1]}/`],
    ['another way to write one', () => `http://2130706433:${near.host.split(':')[1]}/`],
    ['one of IPv4 in IPv6', () => `http://[::ffff:127.0.0.1]:${near.host.split(':')[1]}/`],
    ['a link-local address', () => 'http://169.254.169.254/latest/meta-data/'],
    ['a unique local address', () => 'http://[fd00:ec2::254]/'],
    ['the unspecified address', () => 'http://0.0.0.0/'],
  ])('does not connect to %s', async (_, url) => {
    await expect(createOutside([]).request(url(), limits)).rejects.toMatchObject({ code: 'notPublic' });
    expect(near.requests).toEqual([]);
  });

  it('connects to a server that an operator lists, and to no other port of it', async () => {
    const outside = createOutside([near.host]);
    expect((await wholeBody(await outside.request(`http://${near.host}/`, limits))).toString()).toBe('ok');
    await expect(outside.request(`http://${victim.host}/`, limits)).rejects.toMatchObject({ code: 'notPublic' });
    await expect(createOutside(['127.0.0.1']).request(`http://${near.host}/`, limits)).rejects.toMatchObject({
      code: 'notPublic',
    });
  });

  it('speaks http and https only', async () => {
    for (const url of ['file:///etc/passwd', 'ftp://example.org/', 'data:,x', 'not a url']) {
      await expect(createOutside([]).request(url, limits), url).rejects.toMatchObject({ code: 'refused' });
    }
  });
});

describe('redirects', () => {
  const to = (location: string) => (near.handler = (_, response) => response.writeHead(302, { location }).end());

  it('lead to no private address', async () => {
    to(`http://${victim.host}/admin`);
    const headers = { Authorization: 'Basic c2VjcmV0' };
    const asked = createOutside([near.host]).request(`http://${near.host}/`, { ...limits, headers, redirects: 3 });
    await expect(asked).rejects.toMatchObject({ code: 'notPublic' });
    expect(victim.requests).toEqual([]);
  });

  it('take no credential to another server, and keep it for the same', async () => {
    to(`http://${victim.host}/`);
    const outside = createOutside([near.host, victim.host]);
    const headers = { Authorization: 'Basic c2VjcmV0', Cookie: 'a=b', Accept: 'x/y' };
    await outside.request(`http://${near.host}/`, { ...limits, headers, redirects: 1 });
    expect(victim.requests[0]!.headers).toMatchObject({ accept: 'x/y' });
    expect(victim.requests[0]!.headers).not.toHaveProperty('authorization');
    expect(victim.requests[0]!.headers).not.toHaveProperty('cookie');
    near.handler = ({ url }, response) =>
      url === '/' ? response.writeHead(307, { location: '/next' }).end() : response.end('there');
    expect((await outside.request(`http://${near.host}/`, { ...limits, headers, redirects: 1 })).status).toBe(200);
    expect(near.requests.at(-1)!.headers).toMatchObject({ authorization: 'Basic c2VjcmV0' });
  });

  it('are not followed unless told, nor without an end, nor to what is no http, nor with a body', async () => {
    const outside = createOutside([near.host]);
    const url = `http://${near.host}/`;
    to('/');
    expect((await outside.request(url, limits)).status).toBe(302);
    const followed = { ...limits, redirects: 4 };
    await expect(outside.request(url, followed)).rejects.toMatchObject({ code: 'refused' });
    expect(near.requests.length).toBe(6);
    const posted = { ...followed, method: 'POST', body: 'secret' } as const;
    await expect(outside.request(url, posted)).rejects.toMatchObject({ code: 'refused' });
    to('file:///etc/passwd');
    await expect(outside.request(url, followed)).rejects.toMatchObject({ code: 'refused' });
  });
});

describe('answers', () => {
  const ask = async () => wholeBody(await createOutside([near.host]).request(`http://${near.host}/`, limits));

  it('are bounded, told beforehand or not', async () => {
    near.handler = (_, response) => {
      const more = () => response.write(Buffer.alloc(65_536)) && setImmediate(more);
      response.on('drain', more);
      more();
    };
    await expect(ask()).rejects.toMatchObject({ code: 'refused' });
    near.handler = (_, response) => response.end(Buffer.alloc(1001));
    await expect(ask()).rejects.toMatchObject({ code: 'refused' });
  });

  it('are not unpacked: what was not asked for packed stays what it is', async () => {
    const bomb = gzipSync(Buffer.alloc(500_000));
    near.handler = (_, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb);
    expect(await ask()).toEqual(bomb);
    expect(near.requests[0]!.headers['accept-encoding']).toBe('identity');
  });

  it('must go on, and must be whole', async () => {
    near.handler = (_, response) => void response.write('a');
    const slow = createOutside([near.host]).request(`http://${near.host}/`, { ...limits, idleMilliseconds: 200 });
    await expect(slow.then(wholeBody)).rejects.toMatchObject({ code: 'unreachable' });
    near.handler = (_, response) => {
      response.writeHead(200, { 'content-length': 100 });
      response.write('a', () => response.destroy());
    };
    await expect(ask()).rejects.toMatchObject({ code: 'unreachable' });
  });
});
