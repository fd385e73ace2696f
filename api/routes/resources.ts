/** The machines that could take jobs now, and what is free on them (docs/wire.md 2.7). */
import type { Database } from '../../db/connection.ts';
import { readyMachines } from '../../db/machines.ts';
import type { Capacity } from '../../domain/placement.ts';
import { resourcesOperation } from '../openapi/others.ts';
import { resource, type App, type Guards } from '../resource.ts';

export function resourceRoutes(app: App, guards: Guards, { db }: { db: Database }): void {
  resource(app, '/resources', guards, {
    docs: { GET: resourcesOperation },
    jobToken: { GET: 'reads' },
    GET: async (c) => {
      const machines = await readyMachines(db);
      const existing = machines.map(({ site, region, capacity, free, network, confinement }) => ({
        capacity: inGigabytes(capacity),
        free: inGigabytes(free),
        site,
        ...(region === null ? {} : { region }),
        ...(network ? { network: network.mode } : {}),
        ...(network?.reason === undefined ? {} : { networkReason: network.reason }),
        ...(confinement === undefined ? {} : { confinement }),
      }));
      return c.json({ existing });
    },
  });
}

/** Whole ones; a machine that was made smaller than what is claimed has nothing free. */
function inGigabytes({ cpus, memory, disk }: Capacity): Capacity {
  const whole = (bytes: number) => Math.max(0, Math.floor(bytes / 1e9));
  return { cpus: Math.max(0, cpus), memory: whole(memory), disk: whole(disk) };
}
