/** Machines as rows: registered from the configuration, followed by whoever watches them. */
import { and, eq, inArray, notInArray, sql } from 'drizzle-orm';
import { networkOf, type MachineFacts, type NetworkFact } from '../domain/machine.ts';
import type { Capacity } from '../domain/placement.ts';
import type { Database } from './connection.ts';
import { jobs, machineImages, machines, outbox, placements } from './schema.ts';

export interface ConfiguredMachine {
  site: string;
  region?: string;
  name: string;
  capacity: Capacity;
}

export type MachineRow = typeof machines.$inferSelect;

/** Make the rows say what the configuration says, and have each machine followed. Repeating it changes nothing. */
export async function registerMachines(db: Database, configured: ConfiguredMachine[], sites: string[]): Promise<void> {
  await db.transaction(async (tx) => {
    const known = await tx.select().from(machines).where(inArray(machines.site, sites)).for('update');
    for (const { site, region, name, capacity } of configured) {
      const row = known.find((machine) => machine.site === site && machine.name === name);
      const { cpus, memory, disk } = capacity;
      const id = row
        ? row.id
        : (
            await tx
              .insert(machines)
              .values({
                site,
                region: region ?? null,
                name,
                cpus,
                memory,
                disk,
                freeCpus: cpus,
                freeMemory: memory,
                freeDisk: disk,
              })
              .onConflictDoNothing()
              .returning({ id: machines.id })
          )[0]?.id;
      if (id === undefined) continue;
      if (row) {
        // What is claimed stays claimed: a machine that was made smaller may owe for a while.
        await tx
          .update(machines)
          .set({
            region: region ?? null,
            cpus,
            memory,
            disk,
            freeCpus: sql`${machines.freeCpus} + ${cpus - row.cpus}`,
            freeMemory: sql`${machines.freeMemory} + ${memory - row.memory}`,
            freeDisk: sql`${machines.freeDisk} + ${disk - row.disk}`,
            ...(row.state === 'removed' ? { state: 'starting' as const } : {}),
          })
          .where(eq(machines.id, id));
      }
      if (!row || row.state === 'removed') {
        await tx.insert(outbox).values({ kind: 'startMachine', target: `machine-${id}`, payload: { machineId: id } });
      }
    }
    for (const row of known) {
      if (!configured.some((machine) => machine.site === row.site && machine.name === row.name)) {
        await tx.update(machines).set({ state: 'removed' }).where(eq(machines.id, row.id));
      }
    }
    // Sites that left the configuration take their machines with them.
    await tx.update(machines).set({ state: 'removed' }).where(notInArray(machines.site, sites));
  });
}

export async function findMachine(db: Database, id: number): Promise<MachineRow | undefined> {
  return (await db.select().from(machines).where(eq(machines.id, id)).limit(1))[0];
}

export async function markReachable(db: Database, id: number, facts: MachineFacts): Promise<void> {
  await db
    .update(machines)
    .set({ state: 'ready', facts, lastSeenAt: new Date(), lastError: null })
    .where(and(eq(machines.id, id), sql`${machines.state} <> 'removed'`));
}

export async function markSeen(db: Database, id: number): Promise<void> {
  await db.update(machines).set({ lastSeenAt: new Date() }).where(eq(machines.id, id));
}

export async function markOutOfReach(
  db: Database,
  id: number,
  state: 'unreachable' | 'lost',
  error: string,
): Promise<void> {
  await db
    .update(machines)
    .set({ state, lastError: error })
    .where(and(eq(machines.id, id), sql`${machines.state} <> 'removed'`));
}

export interface ActiveRun {
  jobId: number;
  attempt: number;
  temporalId: string;
}

/** The runs that a machine is supposed to hold; everything else found there is left over. */
export async function activeRuns(db: Database, machineId: number): Promise<ActiveRun[]> {
  return db
    .select({ jobId: placements.jobId, attempt: placements.attempt, temporalId: jobs.temporalId })
    .from(placements)
    .innerJoin(jobs, eq(jobs.id, placements.jobId))
    .where(eq(placements.machineId, machineId));
}

export async function findImage(db: Database, machineId: number, imageKey: string, refreshMinutes: number) {
  const [row] = await db
    .select()
    .from(machineImages)
    .where(and(eq(machineImages.machineId, machineId), eq(machineImages.imageKey, imageKey)))
    .limit(1);
  return row && row.resolvedAt.getTime() > Date.now() - refreshMinutes * 60_000 ? row : undefined;
}

export async function recordImage(
  db: Database,
  image: Omit<typeof machineImages.$inferInsert, 'resolvedAt'>,
): Promise<void> {
  const fresh = {
    fileSha256: image.fileSha256,
    digest: image.digest ?? null,
    size: image.size,
    resolvedAt: new Date(),
  };
  await db
    .insert(machineImages)
    .values({ ...image, ...fresh })
    .onConflictDoUpdate({ target: [machineImages.machineId, machineImages.imageKey], set: fresh });
}

export async function forgetImage(db: Database, machineId: number, imageKey: string): Promise<void> {
  await db
    .delete(machineImages)
    .where(and(eq(machineImages.machineId, machineId), eq(machineImages.imageKey, imageKey)));
}

export interface ReadyMachine {
  site: string;
  region: string | null;
  capacity: Capacity;
  free: Capacity;
  network?: NetworkFact;
  confinement?: NonNullable<MachineFacts['confinement']>;
}

/** Most free CPUs first. */
export async function readyMachines(db: Database): Promise<ReadyMachine[]> {
  const rows = await db
    .select()
    .from(machines)
    .where(eq(machines.state, 'ready'))
    .orderBy(sql`${machines.freeCpus} desc`, machines.id);
  return rows.map((row) => {
    const network = row.facts ? networkOf(row.facts) : undefined;
    return {
      site: row.site,
      region: row.region,
      capacity: { cpus: row.cpus, memory: row.memory, disk: row.disk },
      free: { cpus: row.freeCpus, memory: row.freeMemory, disk: row.freeDisk },
      ...(network ? { network } : {}),
      ...(row.facts?.confinement ? { confinement: row.facts.confinement } : {}),
    };
  });
}
