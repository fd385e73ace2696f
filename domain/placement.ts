/**
 * Which request goes to which machine: first come first served within a priority, best fit among machines. Pure; the
 * scheduler applies what it says. A request that fits nowhere now keeps its turn: it reserves the machine where it
 * would fit first, so that smaller ones behind it can't starve it.
 */

export interface Capacity {
  cpus: number;
  memory: number;
  disk: number;
}

/** What only Apptainer, among the programs that run containers, knows of (docs/wire.md 3.4, `app`). */
export const appsOfImages = 'apps of images';

export interface PlacementCandidate {
  jobId: number;
  attempt: number;
  /** Acceptable sizes, most wanted first. */
  sizes: Capacity[];
  sites: string[];
  regions: string[];
  preferredSites: string[];
  preferredRegions: string[];
  /** Container runtimes that its tasks ask for, `appsOfImages`, and what mounts its storage. */
  abilities: string[];
}

export interface PlaceableMachine {
  id: number;
  site: string;
  region: string | null;
  isReady: boolean;
  /** Out of reach for so long that what ran there is started again elsewhere. */
  isLost?: boolean;
  /** What it was found to have; undefined: it was never seen. */
  abilities?: string[];
  /** Why some of what it was configured for can't be used there. */
  unableToRun?: Record<string, string>;
  total: Capacity;
  free: Capacity;
}

export type PlacementDecision =
  | { kind: 'place'; candidate: PlacementCandidate; machineId: number; size: Capacity }
  | { kind: 'wait'; candidate: PlacementCandidate; reason: string; isOutage?: true }
  /** No machine that is known could ever hold it. */
  | { kind: 'never'; candidate: PlacementCandidate; reason: string };

/** `reserved` carries the machines kept for those ahead, where one queue is decided in several pages. */
export function decide(
  candidates: PlacementCandidate[],
  machines: PlaceableMachine[],
  reserved: Set<number> = new Set(),
): PlacementDecision[] {
  const free = new Map(machines.map((machine) => [machine.id, { ...machine.free }]));
  return candidates.map((candidate): PlacementDecision => {
    const there = machines.filter((machine) => isAllowed(candidate, machine));
    if (there.length === 0)
      return { kind: 'never', candidate, reason: 'no machine is at the sites or regions asked for' };
    const allowed = there.filter((machine) => lacking(candidate, machine).length === 0);
    if (allowed.length === 0) return { kind: 'never', candidate, reason: notEquipped(candidate, there) };
    const able = allowed.filter((machine) => candidate.sizes.some((size) => fits(size, machine.total)));
    if (able.length === 0) return { kind: 'never', candidate, reason: tooSmall(candidate, allowed) };

    for (const size of candidate.sizes) {
      const best = able
        .filter((machine) => machine.isReady && !reserved.has(machine.id) && fits(size, free.get(machine.id)!))
        .sort(
          (a, b) =>
            rank(candidate, a) - rank(candidate, b) ||
            slack(free.get(a.id)!, a) - slack(free.get(b.id)!, b) ||
            a.id - b.id,
        )[0];
      if (best) {
        take(free.get(best.id)!, size);
        return { kind: 'place', candidate, machineId: best.id, size };
      }
    }
    const ready = able.filter((machine) => machine.isReady);
    if (ready.length === 0) {
      // Its abilities are what a machine tells first.
      const isNew = able.some((machine) => !machine.abilities && !machine.isLost);
      const reason = isNew
        ? 'no machine that could run it has answered yet'
        : 'every machine that could run it is out of reach';
      return { kind: 'wait', candidate, reason, ...(able.every(({ isLost }) => isLost) ? { isOutage: true } : {}) };
    }
    if (ready.every((machine) => reserved.has(machine.id))) {
      return { kind: 'wait', candidate, reason: 'the machines that could run it are kept for jobs ahead of it' };
    }
    const soonest = ready
      .filter((machine) => !reserved.has(machine.id))
      .sort((a, b) => slack(free.get(b.id)!, b) - slack(free.get(a.id)!, a))[0]!;
    reserved.add(soonest.id);
    return { kind: 'wait', candidate, reason: 'every machine that could run it is busy' };
  });
}

export function fits(size: Capacity, room: Capacity): boolean {
  return size.cpus <= room.cpus && size.memory <= room.memory && size.disk <= room.disk;
}

function isAllowed(candidate: PlacementCandidate, machine: PlaceableMachine): boolean {
  if (candidate.sites.length > 0 && !candidate.sites.includes(machine.site)) return false;
  return candidate.regions.length === 0 || (machine.region !== null && candidate.regions.includes(machine.region));
}

function lacking({ abilities }: PlacementCandidate, machine: PlaceableMachine): string[] {
  return machine.abilities ? abilities.filter((ability) => !machine.abilities!.includes(ability)) : [];
}

function notEquipped(candidate: PlacementCandidate, machines: PlaceableMachine[]): string {
  const missing = candidate.abilities.filter((ability) =>
    machines.every((machine) => lacking(candidate, machine).includes(ability)),
  );
  const what = (missing.length > 0 ? missing : candidate.abilities).map((ability) => {
    const reason = machines.map(({ unableToRun }) => unableToRun?.[ability]).find((each) => each !== undefined);
    return reason === undefined ? ability : `${ability} (${reason})`;
  });
  return `no machine that may run it has ${what.join(' and ')}`;
}

/** Position in the user's preferences; what is not mentioned comes after all that is. */
function rank(candidate: PlacementCandidate, machine: PlaceableMachine): number {
  const site = candidate.preferredSites.indexOf(machine.site);
  const region = machine.region === null ? -1 : candidate.preferredRegions.indexOf(machine.region);
  return (
    (site < 0 ? candidate.preferredSites.length : site) + (region < 0 ? candidate.preferredRegions.length : region)
  );
}

/** How empty a machine is, 0 to 3: the fullest one that still fits is the best fit. */
function slack(free: Capacity, machine: PlaceableMachine): number {
  const share = (part: number, whole: number) => (whole > 0 ? part / whole : 0);
  return (
    share(free.cpus, machine.total.cpus) +
    share(free.memory, machine.total.memory) +
    share(free.disk, machine.total.disk)
  );
}

function take(free: Capacity, size: Capacity): void {
  free.cpus -= size.cpus;
  free.memory -= size.memory;
  free.disk -= size.disk;
}

function tooSmall(candidate: PlacementCandidate, machines: PlaceableMachine[]): string {
  const least = candidate.sizes[candidate.sizes.length - 1]!;
  const most = (pick: (capacity: Capacity) => number) => Math.max(...machines.map((machine) => pick(machine.total)));
  const gb = (bytes: number) => `${Number((bytes / 1e9).toFixed(3))} GB`;
  const asked = `${least.cpus} cpus, ${gb(least.memory)} memory, ${gb(least.disk)} disk`;
  return `no machine is large enough for ${asked}; the largest have ${most((c) => c.cpus)} cpus, ${gb(most((c) => c.memory))} memory, ${gb(most((c) => c.disk))} disk`;
}
