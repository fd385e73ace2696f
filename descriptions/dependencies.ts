/** Which job waits for which, by exact names (docs/wire.md 4.1). The graph is judged in one pass over its edges. */
import type { Dependency } from '../domain/workflow-description.ts';
import { shortened } from './issues.ts';
import type { ObjectReader } from './reader.ts';

export function readDependencies(workflow: ObjectReader, jobs: ReadonlySet<string>): Dependency[] {
  if (!workflow.has('dependencies')) return [];
  const read = workflow.object('dependencies', 'dependencies must be a dict');
  if (!read) return [];
  const dependencies: Dependency[] = [];
  for (const parent of read.keys()) {
    const entries = read.values(parent, 'children of parent job must be in the form of a list') ?? [];
    const told = shortened(parent);
    const children = new Set<string>();
    for (const child of entries) {
      if (typeof child !== 'string') read.issue(parent, `children of parent job "${told}" must be names of jobs`);
      else if (!jobs.has(child)) read.issue(parent, `child job "${shortened(child)}" is not actually defined`);
      else children.add(child);
    }
    if (!jobs.has(parent)) read.ownIssue(parent, `parent job "${told}" is not actually defined`);
    dependencies.push({ parent, children: [...children] });
  }
  const cycle = findCycle(dependencies);
  if (cycle) workflow.ownIssue('dependencies', `dependencies must not contain a cycle: ${toldCycle(cycle)}`);
  return dependencies;
}

/** The names along a cycle, or undefined. Walks without recursion: chains can be as long as the document. */
export function findCycle(dependencies: Dependency[]): string[] | undefined {
  const childrenOf = new Map(dependencies.map(({ parent, children }) => [parent, children]));
  const done = new Set<string>();
  for (const { parent: start } of dependencies) {
    // The path from the start to where we are, and how many children of each were looked at.
    const path: { name: string; looked: number }[] = done.has(start) ? [] : [{ name: start, looked: 0 }];
    const onPath = new Set<string>(path.map(({ name }) => name));
    for (let here = path.at(-1); here; here = path.at(-1)) {
      const child = childrenOf.get(here.name)?.[here.looked];
      here.looked += 1;
      if (child === undefined) {
        done.add(here.name);
        onPath.delete(here.name);
        path.pop();
      } else if (onPath.has(child)) {
        const names = path.map(({ name }) => name);
        return names.slice(names.indexOf(child));
      } else if (!done.has(child)) {
        path.push({ name: child, looked: 0 });
        onPath.add(child);
      }
    }
  }
  return undefined;
}

const mostTold = 10;

function toldCycle(cycle: string[]): string {
  const told = cycle.length > mostTold ? [...cycle.slice(0, mostTold), '...'] : cycle;
  return [...told, cycle[0]].join(' -> ');
}
