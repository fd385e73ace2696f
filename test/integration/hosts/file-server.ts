/** A store that takes PUT and gives GET, as a signed URL would. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';

export interface FileServer {
  readonly files: Map<string, Buffer>;
  /** Method and path of every request, in order. */
  readonly requests: string[];
  url(path: string): string;
  /** What the bytes of each answer are said to be encoded as. */
  contentEncoding: string | undefined;
  /** Answer the next requests for a path with these status codes, one each. */
  failWith(path: string, ...codes: number[]): void;
  /** Answer the next request for a path with two bytes a second, without an end. */
  drip(path: string): void;
  close(): Promise<void>;
}

export async function startFileServer(address: string): Promise<FileServer> {
  const files = new Map<string, Buffer>();
  const requests: string[] = [];
  const failures = new Map<string, number[]>();
  const dripping = new Set<string>();

  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const path = decodeURIComponent(new URL(request.url ?? '/', 'http://server').pathname.slice(1));
    requests.push(`${request.method} ${path}`);
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const failure = failures.get(path)?.shift();
    const content = files.get(path);
    if (failure !== undefined) {
      response.writeHead(failure).end();
    } else if (dripping.delete(path)) {
      response.writeHead(200, { 'content-length': 1_000_000 });
      const drops = setInterval(() => response.write('xx'), 1000);
      response.once('close', () => clearInterval(drops));
    } else if (request.method === 'PUT') {
      files.set(path, Buffer.concat(chunks));
      response.writeHead(200).end();
    } else if (content) {
      const said = fileServer.contentEncoding === undefined ? {} : { 'content-encoding': fileServer.contentEncoding };
      response.writeHead(200, { 'content-length': content.length, ...said }).end(content);
    } else {
      response.writeHead(404).end('no such object');
    }
  };

  const server = createServer((request, response) => void answer(request, response)).listen(0, address);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const fileServer: FileServer = {
    files,
    requests,
    contentEncoding: undefined,
    url: (path) => `http://${address}:${port}/${encodeURIComponent(path)}?X-Signature=a%2Fb"c&x=[1]`,
    drip: (path) => void dripping.add(path),
    failWith: (path, ...codes) => failures.set(path, codes),
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return fileServer;
}
