/**
 * Ports of a stack. They are picked below the range the system hands out for outgoing connections, so that a remembered
 * port is still free when the stack is started again.
 */
import { createServer } from 'node:net';

const lowest = 20_000;
const highest = 32_000;

export async function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

/** The wished ones where they are free, else any free one; never one of `taken`. */
export async function pickPort(wished: number | undefined, taken: ReadonlySet<number>): Promise<number> {
  if (wished !== undefined && !taken.has(wished) && (await isPortFree(wished))) return wished;
  for (let tries = 0; tries < 200; tries += 1) {
    const port = lowest + Math.floor(Math.random() * (highest - lowest));
    if (!taken.has(port) && (await isPortFree(port))) return port;
  }
  throw new Error(`found no free port between ${lowest} and ${highest}`);
}
