/** The environment every task finds (docs/wire.md 7.2). Ours wins over the user's; nothing of the host gets in. */
import type { Artifact, Task } from './description.ts';
import { parameterText, type Parameters } from './parameters.ts';
import { mpiEnvironment, mpiFlavour } from './mpi.ts';
import type { Capacity } from './placement.ts';

export interface EnvironmentFacts {
  jobId: number;
  workflowId?: number;
  node: number;
  nodes: number;
  taskNumber: number;
  size: Capacity;
  apiUrl: string;
  /** The job's own, for the API. */
  token: string;
  parameters?: Parameters;
}

export const scratchPath = '/home/user';

export function taskEnvironment(task: Task, facts: EnvironmentFacts): Record<string, string> {
  const mpi = mpiFlavour(task);
  const { defaults, fixed } = mpi ? mpiEnvironment(mpi) : { defaults: {}, fixed: {} };
  return {
    ...defaults,
    ...task.env,
    ...fixed,
    HOME: scratchPath,
    USER: 'user',
    TMP: '/tmp',
    TEMP: '/tmp',
    TMPDIR: '/tmp',
    PROMINENCE_CONTAINER_RUNTIME: task.runtime,
    PROMINENCE_CPUS: String(facts.size.cpus),
    PROMINENCE_MEMORY: String(Number((facts.size.memory / 1e9).toFixed(3))),
    PROMINENCE_NODES: String(facts.nodes),
    PROMINENCE_NODE_NUM: String(facts.node),
    PROMINENCE_TASK_NUM: String(facts.taskNumber),
    PROMINENCE_JOB_ID: String(facts.jobId),
    ...(facts.workflowId === undefined ? {} : { PROMINENCE_WORKFLOW_ID: String(facts.workflowId) }),
    PROMINENCE_URL: facts.apiUrl,
    PROMINENCE_TOKEN: facts.token,
    ...Object.fromEntries(
      Object.entries(facts.parameters ?? {}).map(([name, value]) => [
        `PROMINENCE_PARAMETER_${name}`,
        parameterText(value),
      ]),
    ),
  };
}

/** A task's place in the order they are started: sidecars before all others (docs/wire.md 7.2). */
export function taskNumber(tasks: Task[], index: number): number {
  const isSidecar = ({ type }: Task) => type === 'sidecar';
  const before = tasks.slice(0, index).filter(isSidecar).length;
  return isSidecar(tasks[index]!) ? before : tasks.filter(isSidecar).length + index - before;
}

/** A path as tasks see it to one relative to scratch; undefined when it is not below it, nor below a mounted artifact. */
export function scratchFiles(artifacts: Artifact[]): (path: string) => string | undefined {
  const mounts = artifacts.flatMap(({ mountpoint }) => (mountpoint ? [mountpoint] : []));
  const scratch: Root = { source: '.', folder: `${scratchPath}/` };
  // Once for all of the paths, of which there may be thousands.
  const rootOf = firstRoot([...mounts.map(({ source, target }) => ({ source, folder: `${target}/` })), scratch]);
  return (path) => {
    const root = path.startsWith('/') ? rootOf(path) : scratch;
    if (!root) return undefined;
    const relative = path.startsWith('/') ? path.slice(root.folder.length) : path;
    const parts = `${root.source}/${relative}`.split('/').filter((part) => part !== '' && part !== '.');
    return parts.length === 0 || parts.includes('..') || relative.endsWith('/') ? undefined : parts.join('/');
  };
}

interface Root {
  source: string;
  /** Ends with a slash. */
  folder: string;
}

/**
 * Finds the first of the roots that a path is below. What a path begins with comes before it in their order, and all of
 * it is what its neighbour there begins with, too: so one comparison finds them, and not one with each.
 */
function firstRoot(roots: Root[]): (path: string) => Root | undefined {
  const sorted = roots
    .map((root, order) => ({ root, order }))
    .sort((a, b) => (a.root.folder < b.root.folder ? -1 : a.root.folder > b.root.folder ? 1 : a.order - b.order));
  interface Nested {
    root: Root;
    /** The nearest of those that its folder is below. */
    outer?: Nested;
    /** It, or one of those outside of it, that comes first in the list. */
    first: { root: Root; order: number };
  }
  const nested: Nested[] = [];
  for (const one of sorted) {
    let outer = nested.at(-1);
    while (outer && !one.root.folder.startsWith(outer.root.folder)) outer = outer.outer;
    const first = outer && outer.first.order < one.order ? outer.first : one;
    nested.push({ root: one.root, ...(outer ? { outer } : {}), first });
  }
  return (path) => {
    let [low, high] = [0, nested.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (nested[middle]!.root.folder <= path) low = middle + 1;
      else high = middle;
    }
    let found = nested[low - 1];
    while (found && !path.startsWith(found.root.folder)) found = found.outer;
    return found?.first.root;
  };
}

/** The same for outputs, which may be patterns, or scratch itself: `.` then. */
export function scratchOutputs(artifacts: Artifact[]): (name: string) => string | undefined {
  const scratchFile = scratchFiles(artifacts);
  return (name) => {
    const path = withoutEnd(name);
    return path === '.' || path === scratchPath ? '.' : scratchFile(path);
  };
}

/** `a/./` is `a`: without slashes, and dots behind slashes, at its end. */
function withoutEnd(path: string): string {
  let end = path.length;
  for (;;) {
    if (path[end - 1] === '/') end -= 1;
    else if (path[end - 1] === '.' && path[end - 2] === '/') end -= 2;
    else return path.slice(0, end);
  }
}

/** `workdir` is relative to scratch unless absolute. */
export function workingDirectory(workdir: string | undefined): string {
  if (!workdir) return scratchPath;
  return workdir.startsWith('/') ? workdir : `${scratchPath}/${workdir}`;
}
