/** Which jobs of a workflow a request means: steps, instances of factories, states; all that are given must hold. */
import type { JobStatus } from './status.ts';

export interface Selection {
  /** Names of steps; absent: all. */
  jobs?: string[];
  /** Names of steps: they and everything that depends on them. */
  from?: string[];
  /** Instances by number, inclusive, in ascending order and apart; absent: all. */
  instances?: Range[];
  status?: SelectedStatus[];
}

/** As the workflow sees it: a job that ended with another exit code than 0 has failed; one not run for that was skipped. */
export type SelectedStatus = JobStatus | 'skipped';

export type Range = [first: number, last: number];

/** A selection where names are resolved: steps by their positions. Of others nothing is selected. */
export interface StepSelection {
  steps: number[];
  instances?: Range[];
  status?: SelectedStatus[];
}

interface NamedStep {
  name: string;
  parents: readonly number[];
}

export type ResolvedSelection = { kind: 'resolved'; selection: StepSelection } | { kind: 'unknownJob'; name: string };

export function resolveSelection(selection: Selection, steps: readonly NamedStep[]): ResolvedSelection {
  const { jobs, from, instances, status } = selection;
  const positions = new Map(steps.map(({ name }, position) => [name, position]));
  const unknown = [...(jobs ?? []), ...(from ?? [])].find((name) => !positions.has(name));
  if (unknown !== undefined) return { kind: 'unknownJob', name: unknown };
  const named = jobs && new Set(jobs.map((name) => positions.get(name)!));
  const after =
    from &&
    withDescendants(
      from.map((name) => positions.get(name)!),
      steps,
    );
  const selected = [...steps.keys()].filter((step) => (named?.has(step) ?? true) && (after?.has(step) ?? true));
  return {
    kind: 'resolved',
    selection: { steps: selected, ...(instances ? { instances } : {}), ...(status ? { status } : {}) },
  };
}

function withDescendants(roots: number[], steps: readonly NamedStep[]): Set<number> {
  const children: number[][] = steps.map(() => []);
  for (const [step, { parents }] of steps.entries()) for (const parent of parents) children[parent]!.push(step);
  const found = new Set(roots);
  const open = [...roots];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    for (const child of children[next]!) {
      if (found.has(child)) continue;
      found.add(child);
      open.push(child);
    }
  }
  return found;
}

const rangeText = /^(\d{1,9})(?:-(\d{1,9}))?$/;

/** `0-99,150`: instances by number. Undefined: not of this form, or a range that ends before it starts. */
export function parseRanges(text: string): Range[] | undefined {
  const ranges: Range[] = [];
  for (const part of text.split(',')) {
    const [, first, last = first] = rangeText.exec(part.trim()) ?? [];
    if (first === undefined || Number(last) < Number(first)) return undefined;
    ranges.push([Number(first), Number(last)]);
  }
  return merged(ranges);
}

function merged(ranges: Range[]): Range[] {
  const result: Range[] = [];
  for (const [first, last] of ranges.sort(([a], [b]) => a - b)) {
    const before = result[result.length - 1];
    if (before && first <= before[1] + 1) before[1] = Math.max(before[1], last);
    else result.push([first, last]);
  }
  return result;
}
