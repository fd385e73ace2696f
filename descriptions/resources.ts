/** What a job asks of each of its nodes (docs/wire.md 3.3). */
import type { Resources } from '../domain/description.ts';
import type { ObjectReader } from './reader.ts';
import { count, gigabytes, pair } from './values.ts';

export const resourceItems: ReadonlySet<string> = new Set([
  'nodes',
  'totalCpusRange',
  'cpus',
  'cpusRange',
  'cpusOptions',
  'memory',
  'memoryPerCpu',
  'disk',
  'walltime',
]);

/** Upper bounds of ours: beyond them the sum of a request no longer fits what counts it. */
export const mostResources = { cpus: 1_000_000, nodes: 1_000_000, gigabytes: 1_000_000, walltimeMinutes: 5_256_000 };

const defaultDiskGb = 10;

export function readResources(job: ObjectReader): Resources | undefined {
  if (!job.has('resources')) {
    job.issue('resources', 'a job must contain resources');
    return undefined;
  }
  const read = job.object('resources', 'resources must be an object');
  if (!read) return undefined;
  read.onlyKeys(resourceItems, (key) => `invalid item "${key}" in resources`);

  const nodes = read.field('nodes', count('number of nodes must be an integer', 'number of nodes must be at least 1'));
  const totalCpusRange = readTotalCpusRange(read);
  const cpus = readCpus(read);
  const memory = readMemory(read);
  const diskGb = read.field('disk', count('required disk must be an integer', 'disk must be at least 1'));
  const walltimeMinutes = read.field(
    'walltime',
    count('required walltime must be an integer', 'walltime must be at least 1 minute'),
  );

  atMost(read, 'nodes', nodes, mostResources.nodes, 'number of nodes');
  atMost(read, 'cpus', cpus.cpus, mostResources.cpus, 'number of cpus');
  atMost(read, 'disk', diskGb, mostResources.gigabytes, 'disk');
  atMost(read, 'walltime', walltimeMinutes, mostResources.walltimeMinutes, 'walltime');
  checkTotalMemory(read, cpus, memory);
  return {
    nodes: nodes ?? 1,
    ...cpus,
    ...(totalCpusRange ? { totalCpusRange } : {}),
    ...memory,
    diskGb: diskGb ?? defaultDiskGb,
    ...(walltimeMinutes === undefined ? {} : { walltimeMinutes }),
  };
}

function readTotalCpusRange(read: ObjectReader): [number, number] | undefined {
  if (!read.has('totalCpusRange')) return undefined;
  if (!read.values('totalCpusRange', 'totalCpusRange must be a list')) return undefined;
  return readPair(
    read,
    'totalCpusRange',
    'totalCpusRange must be a list containing the min and max allowed total number of CPUs',
  );
}

type Cpus = Pick<Resources, 'cpus' | 'cpusRange' | 'cpusOptions'>;

function readCpus(read: ObjectReader): Cpus {
  const cpus = read.field('cpus', count('number of cpus must be an integer', 'number of cpus must be at least 1'));
  const [hasCpus, hasRange, hasOptions] = [read.has('cpus'), read.has('cpusRange'), read.has('cpusOptions')];
  if (!hasCpus && !hasRange && !hasOptions) read.issue('cpus', 'one of cpus, cpusRange, cpusOptions must be defined');
  // Upstream looks at these two only where nothing before them was given.
  const cpusRange =
    hasRange && !hasCpus
      ? readPair(read, 'cpusRange', 'cpusRange must be a list containing the min and max allowed number of CPUs')
      : undefined;
  const cpusOptions =
    hasOptions && !hasCpus && !hasRange
      ? readPair(read, 'cpusOptions', 'cpusOptions must be a list containing the two possible number of CPUs')
      : undefined;
  if (hasCpus && hasRange) read.issue('cpusRange', 'cpus and cpusRange cannot both be defined');
  if (hasCpus && hasOptions) read.issue('cpusOptions', 'cpus and cpusOptions cannot both be defined');
  if (hasRange && hasOptions) read.issue('cpusOptions', 'cpusRange and cpusOptions cannot both be defined');
  if (cpusRange) return { cpusRange };
  if (cpusOptions) return { cpusOptions };
  return cpus === undefined ? {} : { cpus };
}

type Memory = Pick<Resources, 'memoryGb' | 'memoryPerCpuGb'>;

function readMemory(read: ObjectReader): Memory {
  const memoryGb = read.field('memory', gigabytes('memory must be an integer', 'memory must be at least 1'));
  const [hasMemory, hasPerCpu] = [read.has('memory'), read.has('memoryPerCpu')];
  if (!hasMemory && !hasPerCpu) read.issue('memory', 'memory or memoryPerCpu (in GB) must be defined');
  const memoryPerCpuGb = read.field(
    'memoryPerCpu',
    gigabytes('memoryPerCpu must be an integer', 'memoryPerCpu must be at least 1'),
  );
  if (hasMemory && hasPerCpu) read.issue('memoryPerCpu', 'memory and memoryPerCpu cannot both be defined');
  if (memoryGb !== undefined) return { memoryGb };
  return memoryPerCpuGb === undefined ? {} : { memoryPerCpuGb };
}

/** The length is upstream's rule, what the two numbers are is ours. `cpusOptions` need no order. */
function readPair(read: ObjectReader, key: string, wrongLength: string): [number, number] | undefined {
  const both = read.field(key, pair(wrongLength));
  if (!both) return undefined;
  const [first, second] = both;
  if (!isCount(first) || !isCount(second)) {
    read.ownIssue(key, `${key} must contain whole numbers from 1 to ${mostResources.cpus}`);
    return undefined;
  }
  if (key !== 'cpusOptions' && first > second) {
    read.ownIssue(key, `${key} must start with the smaller number, not ${first}`);
    return undefined;
  }
  return [first, second];
}

const isCount = (value: unknown): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= mostResources.cpus;

function atMost(read: ObjectReader, key: string, value: number | undefined, limit: number, what: string): void {
  if (value !== undefined && value > limit) read.ownIssue(key, `${what} must be at most ${limit}`);
}

function checkTotalMemory(read: ObjectReader, cpus: Cpus, memory: Memory): void {
  atMost(read, 'memory', memory.memoryGb, mostResources.gigabytes, 'memory');
  if (memory.memoryPerCpuGb === undefined) return;
  const largest = Math.max(cpus.cpus ?? 1, ...(cpus.cpusRange ?? []), ...(cpus.cpusOptions ?? []));
  const total = memory.memoryPerCpuGb * largest;
  atMost(read, 'memoryPerCpu', total, mostResources.gigabytes, 'memoryPerCpu times the number of CPUs');
}
