/** Counts real starts: every task that begins calls this server once. Containers must have the machine's network (`runningStack`). */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Effects {
  /** A shell line that reports once under a name, trying until it was heard. */
  line(name: string): string;
  count(name: string): number;
  close(): void;
}

export async function countEffects(address = '127.0.0.1'): Promise<Effects> {
  const counts = new Map<string, number>();
  const server = createServer((request, response) => {
    const name = decodeURIComponent((request.url ?? '/').slice(1));
    counts.set(name, (counts.get(name) ?? 0) + 1);
    response.end('heard\n');
  });
  await new Promise<void>((resolve) => server.listen(0, address, resolve));
  const { port } = server.address() as AddressInfo;
  return {
    line: (name) => `wget -q -O - http://${address}:${port}/${encodeURIComponent(name)}`,
    count: (name) => counts.get(name) ?? 0,
    close: () => void server.close(),
  };
}
