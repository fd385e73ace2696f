/** What a job reaches: tried as an attacker would, from inside of containers, against listeners that this machine does reach. */
import { createServer, type Server } from 'node:http';
import { networkInterfaces } from 'node:os';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { NetworkWish } from '../../../domain/machine.ts';
import { runToken, type RunRef } from '../../../domain/runs.ts';
import type { ContainerRuntime } from '../../../domain/description.ts';
import type { Machine, MachineWatch, PulledImage, TaskLaunch } from '../../../hosts/machine.ts';
import { startWorld, type World } from '../../ground/world.ts';
import { deployment, launchOf, newRun, observe, output, pullBusybox, resultOf, sh, until } from './runs.ts';
import type { Transport } from './transports.ts';

export type NetworkTransport = (network: NetworkWish) => Promise<Transport>;

interface Listener {
  port: number;
  close(): void;
}

async function listen(address: string): Promise<Listener> {
  const server: Server = createServer((_, answer) => answer.end('mine'));
  server.listen(0, address);
  await once(server, 'listening');
  return { port: (server.address() as AddressInfo).port, close: () => void server.close() };
}

/** The address that others know this machine by. */
function ownAddress(): string {
  const found = Object.values(networkInterfaces())
    .flat()
    .find((each) => each && each.family === 'IPv4' && !each.internal && !each.address.startsWith('203.0.113.'));
  if (!found) throw new Error('this machine has no address but those of its loopback');
  return found.address;
}

const linkLocal6 = (): string | undefined => {
  const [name, addresses] =
    Object.entries(networkInterfaces()).find(
      ([each, list]) => !each.startsWith('lo') && list?.some(({ address }) => address.startsWith('fe80:')),
    ) ?? [];
  const found = addresses?.find(({ address }) => address.startsWith('fe80:'));
  return found && `${found.address}%${name}`;
};

export function describeNetwork(name: string, runtime: ContainerRuntime, makeTransport: NetworkTransport): void {
  describe(name, () => {
    const address = ownAddress();
    let world: World;
    let onLoopback: Listener;
    let everywhere: Listener;
    let api: Listener;
    let store: Listener;
    const transports: Transport[] = [];
    beforeAll(async () => {
      world = await startWorld();
      onLoopback = await listen('127.0.0.1');
      everywhere = await listen('::');
      api = await listen('127.0.0.1');
      store = await listen(address);
    });
    afterAll(async () => {
      for (const transport of transports) await transport.close();
      for (const listener of [onLoopback, everywhere, api, store]) listener?.close();
      await world?.close();
    });

    const reachable = () => [`127.0.0.1:${api.port}`, `${address}:${store.port}`];
    const open = async (mode: NetworkWish['mode']) => {
      const transport = await makeTransport({ mode, reachable: reachable() });
      transports.push(transport);
      const { machine } = transport;
      const image = await pullBusybox(transport, runtime);
      return { transport, machine, image, watch: await machine.watch(deployment) };
    };
    const launch = (image: PulledImage, line: string, changes: Partial<TaskLaunch> = {}): TaskLaunch =>
      launchOf(image, sh(line), { runtime, ...changes });
    interface Opened {
      machine: Machine;
      image: PulledImage;
      watch: MachineWatch;
    }
    const outputOf = async ({ machine, image, watch }: Opened, line: string, run: RunRef = newRun()) => {
      await machine.startTask(run, launch(image, line));
      const result = await resultOf(watch, run);
      if (result.exitCode !== 0) throw new Error(await output(watch, run, 'stderr'));
      return (await output(watch, run)).trim();
    };
    // Not wget: that of a static busybox can't look up even an address. Nobody closes his half early: the pasta of Debian 12
    // does not pass on the other one's end then.
    const get = (url: string) => {
      const { hostname, port } = new URL(url);
      return `{ printf 'GET / HTTP/1.0\\r\\n\\r\\n'; sleep 1; } | nc -w 2 '${hostname.replace(/^\[|\]$/g, '')}' ${port} 2>/dev/null | tail -n 1`;
    };
    const fetching = (urls: string[]) => urls.map((url) => `echo "${url} $(${get(url)})"`).join('; ');
    const answers = async (opened: Opened, urls: string[]): Promise<string[]> => {
      const lines = (await outputOf(opened, fetching(urls))).split('\n').map((line) => line.trim());
      expect(lines).toHaveLength(urls.length);
      return lines.filter((line) => line.includes(' ')).map((line) => line.split(' ')[0]!);
    };

    const forbidden = () => [
      `http://127.0.0.1:${onLoopback.port}/`,
      `http://127.0.0.1:${everywhere.port}/`,
      `http://[::1]:${everywhere.port}/`,
      `http://0.0.0.0:${everywhere.port}/`,
      `http://${address}:${everywhere.port}/`,
      `http://${world.nearAddress}:${everywhere.port}/`,
      `http://[::ffff:${address}]:${everywhere.port}/`,
      world.metadataUrl,
      world.metadataIpv6Url,
    ];
    const outside = () => [world.publicUrl, world.publicIpv6Url];
    const given = () => [`http://127.0.0.1:${api.port}/`, `http://${address}:${store.port}/`];

    it('this machine itself reaches all that jobs must not', async () => {
      for (const url of [...forbidden(), ...outside(), ...given()]) {
        expect(await (await fetch(url)).text(), url).toMatch(/^(mine|outside)$/);
      }
    });

    describe('where jobs are isolated', () => {
      let opened: Opened & { transport: Transport };
      beforeAll(async () => {
        opened = await open('isolated');
      });
      afterAll(() => opened?.watch.close());

      it('is told by the probe', async () => {
        const { networks, unableToRun } = await opened.machine.probe();
        expect(unableToRun).toBeUndefined();
        expect(networks).toMatchObject({ [runtime]: { mode: 'isolated' } });
      });

      it('a job has the world, the API and the store, and nothing else of the machine', async () => {
        const reached = await answers(opened, [...forbidden(), ...outside(), ...given()]);
        // Which of the world's addresses depends on the families of addresses that this machine routes.
        expect(reached).toEqual(expect.arrayContaining([world.publicUrl, ...given()]));
        expect(reached.filter((url) => forbidden().includes(url))).toEqual([]);
      });

      it('a job reaches no neighbour by a link-local address, nor the gateway', async () => {
        const near = linkLocal6();
        const hosts = ['198.18.0.1', '198.19.0.1', '198.19.0.2', ...(near ? [near] : [])];
        const line = hosts
          .map((host) => `nc -w 2 ${host} ${everywhere.port} </dev/null >/dev/null 2>&1 && echo "${host}"`)
          .join('; ');
        expect(await outputOf(opened, `${line}; echo done`)).toBe('done');
      });

      it('a job can not change its network, whatever namespaces it makes', async () => {
        const change = 'ip route add 169.254.169.254/32 dev lo';
        const line = `${change} && echo changed; ip addr flush dev eth0 && echo changed; unshare -r sh -c '${change}' && echo changed; echo done`;
        expect(await outputOf(opened, `{ ${line}; } 2>/dev/null`)).toBe('done');
      });

      it('tasks, sidecars and commands of a run share their loopback, and no other run sees it', async () => {
        const { machine, image, watch } = opened;
        const [run, other] = [newRun(), newRun()];
        const serve = 'while :; do echo served | nc -l -p 7001; done';
        await machine.startTask(run, launch(image, `(${serve}) & echo up; wait`, { launchNumber: 0 }));
        await until(async () => (await output(watch, run)).includes('up'), 'the sidecar runs');
        const ask =
          'tries=0; until nc -w 2 127.0.0.1 7001 </dev/null || [ $((tries += 1)) -gt 20 ]; do sleep 0.1; done';
        await machine.startTask(run, launch(image, ask, { launchNumber: 1 }));
        await resultOf(watch, run, 1);
        expect(await output(watch, run)).toBe('up\nserved\n');
        let said = '';
        const asked = await machine.exec(run, {
          launch: () => Promise.resolve(launch(image, ask)),
          limitSeconds: 20,
          memoryBytes: 1e9,
          onOutput: (bytes) => Promise.resolve(Boolean((said += bytes.toString()))),
        });
        expect(asked).toMatchObject({ kind: 'ended', exitCode: 0 });
        expect(said).toBe('served\n');
        expect(await outputOf(opened, 'nc -w 2 127.0.0.1 7001 </dev/null && echo reached; echo done', other)).toBe(
          'done',
        );
        await machine.killRun(run, 0);
      });

      it('a job that listens everywhere is heard by no other, and the machine keeps its ports', async () => {
        const { machine, image, watch } = opened;
        const run = newRun();
        await machine.startTask(run, launch(image, `echo up; nc -l -p ${onLoopback.port}`));
        await until(async () => (await output(watch, run)).includes('up'), 'the task runs');
        expect(await (await fetch(`http://127.0.0.1:${onLoopback.port}/`)).text()).toBe('mine');
        expect((await observe(watch, run))?.state).toBe('running');
        await machine.killRun(run, 0);
      });

      it('an address that the machine gets later is closed to jobs as well', async () => {
        world.addAddress('203.0.113.254');
        const url = `http://203.0.113.254:${everywhere.port}/`;
        expect(await (await fetch(url)).text()).toBe('mine');
        await until(async () => (await answers(opened, [url])).length === 0, 'the address is closed');
      });

      it('a new way out is made where it was lost, and none is left when nobody needs it', async () => {
        const { transport } = opened;
        const keeper = async () => (await transport.shell('cat network/*.gateway')).split(' ')[0]!;
        const first = await keeper();
        await transport.shell(`kill -KILL ${first}; while [ -d /proc/${first} ]; do sleep 0.1; done`);
        expect(await answers(opened, [...forbidden(), world.publicUrl])).toEqual([world.publicUrl]);
        expect(await keeper()).not.toBe(first);
        const run = newRun();
        expect(await outputOf(opened, 'echo there', run)).toBe('there');
        const found = `ls /proc/$(cut -d " " -f 1 network/*.gateway)/root/run/netns`;
        expect(await transport.shell(found)).toContain(runToken(run));
        await opened.watch.remove([run]);
        await until(async () => !(await transport.shell(found)).includes(runToken(run)), 'its namespace is gone');
      });
    });

    it('where jobs have no network, they reach the API and the store only', async () => {
      const opened = await open('none');
      expect(await answers(opened, [...forbidden(), ...outside(), ...given()])).toEqual(given());
      opened.watch.close();
    });

    it('where a site wants that, jobs are in the network of the machine', async () => {
      const opened = await open('host');
      expect((await opened.machine.probe()).networks).toMatchObject({ [runtime]: { mode: 'host' } });
      const url = `http://127.0.0.1:${onLoopback.port}/`;
      expect(await answers(opened, [url])).toEqual([url]);
      opened.watch.close();
    });
  });
}
