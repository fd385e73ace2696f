/**
 * A process of its own that submits jobs as N clients, each on a connection it keeps and each waiting for its answer
 * before it asks again (a closed loop). Told what to do on stdin, tells what it saw on stdout.
 */
import { Agent, request } from 'node:http';
import { text } from 'node:stream/consumers';

export interface SubmitOrder {
  url: string;
  token: string;
  body: string;
  clients: number;
  /** Over all clients. */
  submits: number;
}

export interface SubmitReport {
  seconds: number;
  latenciesMs: number[];
  /** CPU of this process, which takes it from the machine it measures. */
  cpuMs: number;
}

async function main(): Promise<void> {
  const order = JSON.parse(await text(process.stdin)) as SubmitOrder;
  const agent = new Agent({ keepAlive: true, maxSockets: order.clients });
  const latenciesMs: number[] = [];
  // Connections are made and the API is awake before the clock runs.
  await Promise.all(Array.from({ length: order.clients }, () => answer(order, agent, 'GET', '/jobs?num=1')));
  const cpu = process.cpuUsage();
  const began = performance.now();
  let left = order.submits;
  const client = async () => {
    while (left > 0) {
      left -= 1;
      const asked = performance.now();
      const status = await answer(order, agent, 'POST', '/jobs');
      if (status !== 201) throw new Error(`a submit was answered ${status}`);
      latenciesMs.push(performance.now() - asked);
    }
  };
  await Promise.all(Array.from({ length: order.clients }, client));
  const seconds = (performance.now() - began) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  agent.destroy();
  const report: SubmitReport = { seconds, latenciesMs, cpuMs: (user + system) / 1000 };
  process.stdout.write(JSON.stringify(report));
}

function answer({ url, token, body }: SubmitOrder, agent: Agent, method: string, path: string): Promise<number> {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  return new Promise((resolve, reject) => {
    const sent = request(`${url}${path}`, { agent, method, headers }, (response) => {
      response.once('end', () => resolve(response.statusCode ?? 0)).resume();
    });
    sent.once('error', reject);
    sent.end(method === 'POST' ? body : undefined);
  });
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
