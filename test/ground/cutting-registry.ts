/** In front of a real registry: passes everything on, and cuts layers short while told to. */
import { createServer, request as ask } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';

export interface CuttingRegistry {
  /** `address:port`. Speaks plain HTTP. */
  readonly host: string;
  /** Layers end in the middle, with the connection. */
  cuts: boolean;
  /** When layers were cut: milliseconds since the epoch. */
  readonly cut: number[];
  close(): Promise<void>;
}

/** What is shorter than this is no layer. */
const leastBytes = 100_000;

export async function startCuttingRegistry(registryHost: string): Promise<CuttingRegistry> {
  const server = createServer((incoming, answer) => {
    const headers = { ...incoming.headers, host: registryHost };
    const passed = ask(
      `http://${registryHost}${incoming.url}`,
      { method: incoming.method ?? 'GET', headers },
      (source) => {
        answer.writeHead(source.statusCode ?? 500, source.headers);
        const isLayer = incoming.method === 'GET' && Number(source.headers['content-length']) > leastBytes;
        if (!cutting.cuts || !isLayer) {
          source.pipe(answer);
          return;
        }
        cutting.cut.push(Date.now());
        source.once('data', (chunk: Buffer) => answer.write(chunk.subarray(0, 1000), () => answer.destroy()));
      },
    );
    passed.on('error', () => answer.destroy());
    incoming.pipe(passed);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const cutting: CuttingRegistry = {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    cuts: false,
    cut: [],
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return cutting;
}
