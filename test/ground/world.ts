/**
 * A piece of the world outside: a network namespace of the test's own, which this machine reaches as it reaches others, with
 * a public address and the link-local ones where clouds tell machines their secrets. Needs root.
 */
import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { pid } from 'node:process';

export interface World {
  /** URLs that answer `outside`. */
  publicUrl: string;
  publicIpv6Url: string;
  metadataUrl: string;
  metadataIpv6Url: string;
  /** Another address of this machine, on the way there. */
  nearAddress: string;
  /** Give this machine one more address, which it loses with the world. */
  addAddress(address: string): void;
  close(): Promise<void>;
}

const port = 8099;
const server = `require('http').createServer((_, answer) => answer.end('outside')).listen(${port}, '::', () => console.log('up'))`;

export async function startWorld(): Promise<World> {
  const name = `pw${randomBytes(3).toString('hex')}`;
  const ip = (line: string) => execFileSync('ip', line.split(' '), { stdio: 'pipe' });
  const within = (line: string) => ip(`-n ${name} ${line}`);
  // Addresses for documentation: nobody has them.
  const block = (pid % 60) * 4;
  const [near, far] = [`203.0.113.${block + 1}`, `203.0.113.${block + 2}`];
  const [near6, far6] = [`2001:db8:${block}::1`, `2001:db8:${block}::2`];
  ip(`netns add ${name}`);
  const remove = () => ip(`netns delete ${name}`);
  try {
    ip(`link add ${name} type veth peer name world netns ${name}`);
    ip(`addr add ${near}/30 dev ${name}`);
    ip(`-6 addr add ${near6}/64 dev ${name} nodad`);
    ip(`link set ${name} up`);
    for (const line of [
      'link set lo up',
      `addr add ${far}/30 dev world`,
      `-6 addr add ${far6}/64 dev world nodad`,
      'addr add 169.254.169.254/32 dev lo',
      '-6 addr add fd00:ec2::254/128 dev lo nodad',
      'link set world up',
    ])
      within(line);
    ip(`route replace 169.254.169.254/32 via ${far}`);
    ip(`-6 route replace fd00:ec2::254/128 via ${far6}`);
    const child = spawn('ip', ['netns', 'exec', name, process.execPath, '-e', server], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = new Promise((resolve) => child.once('close', resolve));
    await Promise.race([
      new Promise((resolve) => child.stdout.once('data', resolve)),
      ended.then(() => Promise.reject(new Error('the server of the world ended'))),
    ]);
    const url = (address: string) => `http://${address}:${port}/`;
    return {
      publicUrl: url(far),
      publicIpv6Url: url(`[${far6}]`),
      metadataUrl: url('169.254.169.254'),
      metadataIpv6Url: url('[fd00:ec2::254]'),
      nearAddress: near,
      addAddress: (address) => void ip(`addr add ${address}/32 dev ${name}`),
      async close() {
        child.kill();
        await ended;
        remove();
      },
    };
  } catch (error) {
    remove();
    throw error;
  }
}
