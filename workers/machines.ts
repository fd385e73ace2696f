/** The machines of the configuration as things that can be worked on; one connection pool per machine and process. */
import { existsSync, readFileSync, statfsSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { dirname } from 'node:path';
import type { Config, LocalSiteConfig, SshHostConfig } from '../config/config.ts';
import type { Database } from '../db/connection.ts';
import { findMachine, type ConfiguredMachine } from '../db/machines.ts';
import { createMachine } from '../hosts/create-machine.ts';
import type { Host } from '../hosts/host.ts';
import { createLocalHost } from '../hosts/local.ts';
import type { Machine } from '../hosts/machine.ts';
import { createSshHost } from '../hosts/ssh.ts';

/** The one machine of a `local` site. */
const localMachineName = 'this-machine';

/** Sizes of a local machine that the configuration leaves out are what this process sees. */
export function configuredMachines(config: Config): ConfiguredMachine[] {
  return config.sites.flatMap((site): ConfiguredMachine[] => {
    const region = site.region ? { region: site.region } : {};
    switch (site.type) {
      case 'local':
        return [
          {
            site: site.name,
            ...region,
            name: localMachineName,
            capacity: localCapacity(site, localWorkDirectory(site, config)),
          },
        ];
      case 'ssh':
        return site.hosts.map((host) => ({
          site: site.name,
          ...region,
          name: host.name,
          capacity: { cpus: host.cpus, memory: host.memoryGb * 1e9, disk: host.diskGb * 1e9 },
        }));
    }
  });
}

function localCapacity(site: LocalSiteConfig, workDirectory: string): ConfiguredMachine['capacity'] {
  return {
    cpus: site.cpus ?? cpus().length,
    memory: site.memoryGb === undefined ? totalmem() : site.memoryGb * 1e9,
    disk: Math.floor(site.diskGb === undefined ? freeBytes(workDirectory) : site.diskGb * 1e9),
  };
}

const localWorkDirectory = (site: LocalSiteConfig, { deployment }: Config): string =>
  site.workDirectory ?? `/var/tmp/prominence-${deployment}`;

/** Where a folder is, or will be made. */
function freeBytes(folder: string): number {
  while (!existsSync(folder)) folder = dirname(folder);
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
}

export class MachineRegistry {
  private readonly config: Config;
  private readonly db: Database;
  private readonly binDirectories: string[];
  private readonly open = new Map<number, Promise<Machine>>();

  /** `binDirectories`: where programs of a local machine are looked for first. */
  constructor(config: Config, db: Database, binDirectories: string[]) {
    this.config = config;
    this.db = db;
    this.binDirectories = binDirectories;
  }

  machine(id: number): Promise<Machine> {
    let machine = this.open.get(id);
    if (!machine) {
      machine = this.connect(id);
      this.open.set(id, machine);
      // What could not be made is made anew the next time.
      machine.catch(() => this.open.delete(id));
    }
    return machine;
  }

  async close(): Promise<void> {
    const opened = await Promise.allSettled(this.open.values());
    await Promise.all(opened.flatMap((each) => (each.status === 'fulfilled' ? [each.value.close()] : [])));
  }

  private async connect(id: number): Promise<Machine> {
    const row = await findMachine(this.db, id);
    const site = this.config.sites.find(({ name }) => name === row?.site);
    if (!row || !site) throw new Error(`machine ${id} is not in the configuration of this worker`);
    const { execution } = this.config;
    const options = {
      imageCacheBytes: execution.imageCacheGb * 1e9,
      imageMostBytes: this.config.quotas.imageGb * 1e9,
      privateHosts: [...execution.insecureRegistries, ...execution.privateHosts, ...storeHosts(this.config)],
      runtimes: site.runtimes,
      ...(site.mostProcesses === undefined ? {} : { mostProcesses: site.mostProcesses }),
      network: { mode: site.network, reachable: reachableByJobs(this.config) },
    };
    switch (site.type) {
      case 'local': {
        const workDirectory = localWorkDirectory(site, this.config);
        const host = createLocalHost({ account: site.account, binDirectories: this.binDirectories, workDirectory });
        return createMachine({ host, workDirectory, ...options });
      }
      case 'ssh': {
        const host = site.hosts.find(({ name }) => name === row.name);
        if (!host) throw new Error(`host ${row.name} of site ${site.name} is not in the configuration of this worker`);
        const { workDirectory } = host;
        return createMachine({ host: sshHost(host), workDirectory, ...options });
      }
    }
  }
}

/** What the service tells jobs to talk to, as `host:port`: it may be on the very machine they run on. */
export function reachableByJobs({ api, storage }: Pick<Config, 'api' | 'storage'>): string[] {
  const store = storage.kind === 's3' ? (storage.publicEndpoint ?? storage.endpoint) : undefined;
  const doors = [api.publicUrl, ...(store === undefined ? [] : [store])].map((text) => {
    const { protocol, hostname, port } = new URL(text);
    return `${hostname}:${port || (protocol === 'https:' ? 443 : 80)}`;
  });
  return [...new Set(doors)];
}

/** Where signed URLs lead, which the operator put there. */
function storeHosts({ api, storage }: Config): string[] {
  const { publicUrl } = api;
  if (storage.kind === 'local') return [new URL(publicUrl).host];
  const endpoint = storage.publicEndpoint ?? storage.endpoint;
  if (endpoint === undefined) return [];
  const { host } = new URL(endpoint);
  return [host, `${storage.bucket}.${host}`];
}

function sshHost({ address, port, user, privateKeyFile, hostKey }: SshHostConfig): Host {
  return createSshHost({ address, port, user, privateKey: readKey(privateKeyFile), hostKey });
}

function readKey(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    // Its code is not passed on: it would read like that of a database that is away.
    throw new Error(`the private key can't be read: ${(error as Error).message}`);
  }
}
