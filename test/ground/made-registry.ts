/** A registry that has what a test puts there under whatever names, and so can lie. Speaks plain HTTP, on loopback. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { digestOf, type RegistryContent } from './made-images.ts';

export interface MadeRegistry {
  /** `address:port`. */
  readonly host: string;
  /** Method and path of every request, and what it showed. */
  readonly requests: { line: string; authorization?: string }[];
  /** By `repository/manifests/name` or `blobs/digest`: what is answered, and the digest that is told of it. */
  readonly content: Map<string, { body: Buffer; mediaType?: string; digest?: string }>;
  /** Has an image under a tag and its digest. @returns the reference with the tag, and the one with the digest */
  put(repository: string, image: RegistryContent, tag?: string): { tagged: string; pinned: string };
  /** Asked first; true when it answered. */
  intercept?: ((request: IncomingMessage, response: ServerResponse) => boolean) | undefined;
  close(): Promise<void>;
}

export async function startMadeRegistry(address = '127.0.0.1'): Promise<MadeRegistry> {
  const server = createServer((request, response) => {
    const { method = 'GET', url = '/' } = request;
    const { authorization } = request.headers;
    registry.requests.push({ line: `${method} ${url}`, ...(authorization === undefined ? {} : { authorization }) });
    if (registry.intercept?.(request, response)) return;
    const name = url.replace(/^\/v2\//, '').replace(/^.*\/(?=blobs\/)/, '');
    const found = registry.content.get(name);
    if (name === '') response.end();
    else if (!found) response.writeHead(404).end();
    else {
      const { body, mediaType = 'application/octet-stream', digest = digestOf(body) } = found;
      response.writeHead(200, {
        'content-type': mediaType,
        'content-length': body.length,
        'docker-content-digest': digest,
      });
      response.end(method === 'HEAD' ? undefined : body);
    }
  }).listen(0, address);
  await once(server, 'listening');
  const registry: MadeRegistry = {
    host: `${address}:${(server.address() as AddressInfo).port}`,
    requests: [],
    content: new Map(),
    put(repository, { manifest, mediaType, blobs }, tag = 'latest') {
      const digest = digestOf(manifest);
      for (const name of [tag, digest]) {
        registry.content.set(`${repository}/manifests/${name}`, { body: manifest, mediaType });
      }
      for (const [name, body] of blobs) registry.content.set(`blobs/${name}`, { body });
      const reference = `${registry.host}/${repository}`;
      return { tagged: `${reference}:${tag}`, pinned: `${reference}@${digest}` };
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return registry;
}
