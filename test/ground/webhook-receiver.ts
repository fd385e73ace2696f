/** A real HTTP server that keeps the webhooks it is called with, and answers as it is told. */
import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { eventually } from './rest.ts';

export interface ReceivedCall {
  path: string;
  method: string;
  headers: Record<string, string>;
  body: string;
}

export interface WebhookReceiver {
  /** `http://127.0.0.1:port`, or `https://localhost:port` with a certificate. */
  readonly url: string;
  readonly calls: ReceivedCall[];
  /** From now on, at this path. Default 204; null: nothing at all is answered. */
  answer(path: string, status: number | null, headers?: Record<string, string>): void;
  /** All so far, once there are so many. */
  callsTo(path: string, count?: number, seconds?: number): Promise<ReceivedCall[]>;
  close(): void;
}

export async function startWebhookReceiver(tls?: { cert: string; key: string }): Promise<WebhookReceiver> {
  const calls: ReceivedCall[] = [];
  const answers = new Map<string, { status: number | null; headers: Record<string, string> }>();
  const listener: RequestListener = (request, response) => {
    const { url: path = '', method = '', headers } = request;
    void text(request).then((body) => {
      calls.push({ path, method, headers: headers as Record<string, string>, body });
      const answer = answers.get(path) ?? { status: 204, headers: {} };
      if (answer.status !== null) response.writeHead(answer.status, answer.headers).end();
    });
  };
  const server = tls ? createHttpsServer(tls, listener) : createHttpServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const to = (path: string) => calls.filter((call) => call.path === path);
  return {
    url: tls ? `https://localhost:${port}` : `http://127.0.0.1:${port}`,
    calls,
    answer: (path, status, headers = {}) => void answers.set(path, { status, headers }),
    callsTo: (path, count = 1, seconds = 60) =>
      eventually(
        async () => (to(path).length >= count ? to(path) : undefined),
        () => `${path} was called ${to(path).length} times and not ${count}`,
        seconds,
      ),
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
