/**
 * Which steps of a workflow may run and which never will. Steps are numbers; a step may run when all its parents are
 * done, and never when one of them failed or will never run. Each step and edge is looked at once in a whole run.
 */

export interface DagStep {
  /** Free of cycles and repeats. */
  parents: readonly number[];
  /** Done before this run began. */
  isDone: boolean;
}

export type StepState = 'waiting' | 'ready' | 'done' | 'failed' | 'skipped';
export type StepOutcome = 'done' | 'failed';

export interface DagState {
  readonly states: StepState[];
  readonly children: readonly (readonly number[])[];
  /** How many parents of each step are not done. */
  readonly missing: number[];
  /** Steps that are waiting or ready. */
  open: number;
}

export interface DagChange {
  /** May run now, in ascending order. */
  ready: number[];
  /** Will never run, in ascending order. */
  skipped: number[];
}

export function openDag(steps: readonly DagStep[]): DagState {
  const children: number[][] = steps.map(() => []);
  for (const [step, { parents }] of steps.entries()) for (const parent of parents) children[parent]!.push(step);
  const missing = steps.map(({ parents }) => parents.filter((parent) => !steps[parent]!.isDone).length);
  const states = steps.map(({ isDone }, step): StepState => {
    if (isDone) return 'done';
    return missing[step] === 0 ? 'ready' : 'waiting';
  });
  return { states, children, missing, open: states.filter((state) => state !== 'done').length };
}

/** Steps that may run and have no outcome yet. */
export function readySteps(dag: DagState): number[] {
  return dag.states.flatMap((state, step) => (state === 'ready' ? [step] : []));
}

/** No step can run any more. */
export function isOver(dag: DagState): boolean {
  return dag.open === 0;
}

/** Takes the outcome of a ready step into `dag`. @throws RangeError when the step was not ready */
export function afterFinish(dag: DagState, step: number, outcome: StepOutcome): DagChange {
  if (dag.states[step] !== 'ready') throw new RangeError(`step ${step} is ${dag.states[step]}, not ready`);
  dag.states[step] = outcome;
  dag.open -= 1;
  return outcome === 'done'
    ? { ready: releaseChildren(dag, step), skipped: [] }
    : { ready: [], skipped: skipDescendants(dag, step) };
}

function releaseChildren(dag: DagState, step: number): number[] {
  const ready: number[] = [];
  for (const child of dag.children[step]!) {
    dag.missing[child]! -= 1;
    if (dag.missing[child] === 0 && dag.states[child] === 'waiting') {
      dag.states[child] = 'ready';
      ready.push(child);
    }
  }
  return ready.sort((a, b) => a - b);
}

function skipDescendants(dag: DagState, step: number): number[] {
  const skipped: number[] = [];
  const open = [step];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    for (const child of dag.children[next]!) {
      if (dag.states[child] !== 'waiting') continue;
      dag.states[child] = 'skipped';
      dag.open -= 1;
      skipped.push(child);
      open.push(child);
    }
  }
  return skipped.sort((a, b) => a - b);
}
