/** In front of a real HTTP server: passes everything on, but for requests it is told to hold, which get no answer. */
import { createServer, request as ask } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { eventually } from './rest.ts';

export interface HoldingProxy {
  /** `address:port`. */
  readonly host: string;
  /** Requests whose method and path are like that are held from now on, until what this returns is called. */
  hold(request: RegExp): () => void;
  /** Wait until a request like that is held. */
  held(request: RegExp): Promise<void>;
  /** Ends what is held, as a server does that dies, and holds nothing any more. */
  cut(): void;
  /** Requests that the server behind did not answer. */
  readonly unanswered: string[];
  close(): Promise<void>;
}

/** @param target `address:port` */
export async function startHoldingProxy(target: string): Promise<HoldingProxy> {
  const holds = new Set<RegExp>();
  const heldRequests: string[] = [];
  const heldSockets = new Set<Socket>();
  const unanswered: string[] = [];
  const server = createServer((incoming, answer) => {
    const asked = `${incoming.method} ${incoming.url}`;
    if ([...holds].some((each) => each.test(asked))) {
      heldRequests.push(asked);
      heldSockets.add(incoming.socket);
      return;
    }
    // The host header too: signatures of URLs cover it.
    const passed = ask(`http://${target}${incoming.url}`, {
      method: incoming.method ?? 'GET',
      headers: incoming.headers,
    });
    passed.on('response', (source) => {
      answer.writeHead(source.statusCode ?? 500, source.headers);
      source.on('error', () => answer.destroy());
      source.pipe(answer);
    });
    passed.on('error', () => {
      unanswered.push(asked);
      incoming.socket.destroy();
    });
    incoming.on('error', () => passed.destroy());
    incoming.pipe(passed);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    hold(request) {
      holds.add(request);
      return () => void holds.delete(request);
    },
    unanswered,
    cut() {
      holds.clear();
      for (const socket of heldSockets) socket.destroy();
      heldSockets.clear();
    },
    async held(request) {
      await eventually(
        () => Promise.resolve(heldRequests.some((each) => request.test(each)) ? true : undefined),
        () => `no request ${request} came; held were ${JSON.stringify(heldRequests)}`,
      );
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
