/** What a job asks of a machine, in the machine's units (docs/wire.md 3.3; 1 GB of memory = 10^9 bytes). */
import type { Resources } from './description.ts';
import type { Capacity } from './placement.ts';

const gigabyte = 1e9;

/** Acceptable sizes of the one node, most wanted first. Empty only where `totalCpusRange` asks for several nodes. */
export function acceptableSizes(resources: Resources): Capacity[] {
  return cpusOfOneNode(resources).map((cpus) => ({
    cpus,
    memory: Math.ceil((resources.memoryGb ?? (resources.memoryPerCpuGb ?? 1) * cpus) * gigabyte),
    disk: Math.ceil(resources.diskGb * gigabyte),
  }));
}

/** A total that one node can give asks for no more than that one (docs/wire.md 3.3). */
function cpusOfOneNode(resources: Resources): number[] {
  const { totalCpusRange, cpusRange } = resources;
  if (!totalCpusRange) return acceptableCpus(resources);
  const [least, most] = totalCpusRange;
  if (!cpusRange) return acceptableCpus(resources).filter((cpus) => cpus >= least && cpus <= most);
  const both: [number, number] = [Math.max(least, cpusRange[0]), Math.min(most, cpusRange[1])];
  return both[0] <= both[1] ? acceptableCpus({ ...resources, cpusRange: both }) : [];
}

function acceptableCpus(resources: Resources): number[] {
  if (resources.cpusRange) {
    const [least, most] = resources.cpusRange;
    // Sizes between the ends are halved rather than listed: a range of 1 to 4096 stays a short list.
    const sizes: number[] = [];
    for (let cpus = most; cpus > least; cpus = Math.max(least, cpus > 16 ? Math.floor(cpus / 2) : cpus - 1))
      sizes.push(cpus);
    return [...sizes, least];
  }
  if (resources.cpusOptions) {
    const [fallback, wanted] = resources.cpusOptions;
    return wanted === fallback ? [wanted] : [wanted, fallback];
  }
  return [resources.cpus ?? 1];
}
