/** The environment every task finds (spec.md 5.2). Ours wins over the user's; nothing of the host gets in. */
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

/** A task's place in the order they are started: sidecars before all others (spec.md 5.2). */
export function taskNumber(tasks: Task[], index: number): number {
  const isSidecar = ({ type }: Task) => type === 'sidecar';
  const before = tasks.slice(0, index).filter(isSidecar).length;
  return isSidecar(tasks[index]!) ? before : tasks.filter(isSidecar).length + index - before;
}

/** A path as tasks see it to one relative to scratch; undefined when it is not below it, nor below a mounted artifact. */
export function scratchFiles(artifacts: Artifact[]): (path: string) => string | undefined {
  const mounts = artifacts.flatMap(({ mountpoint }) => (mountpoint ? [mountpoint] : []));
  // Once for all of the paths, of which there may be thousands.
  const roots = [...mounts, { source: '.', target: scratchPath }].map(({ source, target }) => ({
    source,
    folder: `${target}/`,
  }));
  return (path) => {
    const root = path.startsWith('/') ? roots.find(({ folder }) => path.startsWith(folder)) : roots.at(-1);
    if (!root) return undefined;
    const relative = path.startsWith('/') ? path.slice(root.folder.length) : path;
    const parts = `${root.source}/${relative}`.split('/').filter((part) => part !== '' && part !== '.');
    return parts.length === 0 || parts.includes('..') || relative.endsWith('/') ? undefined : parts.join('/');
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
