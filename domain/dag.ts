/**
 * Which nodes of a workflow may run and which never will. Nodes are numbers; a node may run when all its parents are
 * done, and never when one of them failed or will never run. Each node and edge is looked at once in a whole run.
 */

export interface DagNode {
  /** Free of cycles and repeats. */
  parents: readonly number[];
  /** Done before this run began. */
  isDone: boolean;
}

export type NodeState = 'waiting' | 'ready' | 'done' | 'failed' | 'skipped';
export type NodeOutcome = 'done' | 'failed';

export interface DagState {
  readonly states: NodeState[];
  readonly children: readonly (readonly number[])[];
  /** How many parents of each node are not done. */
  readonly missing: number[];
  /** Nodes that are waiting or ready. */
  open: number;
}

export interface DagChange {
  /** May run now, in ascending order. */
  ready: number[];
  /** Will never run, in ascending order. */
  skipped: number[];
}

export function openDag(nodes: readonly DagNode[]): DagState {
  const children: number[][] = nodes.map(() => []);
  for (const [node, { parents }] of nodes.entries()) for (const parent of parents) children[parent]!.push(node);
  const missing = nodes.map(({ parents }) => parents.filter((parent) => !nodes[parent]!.isDone).length);
  const states = nodes.map(({ isDone }, node): NodeState => {
    if (isDone) return 'done';
    return missing[node] === 0 ? 'ready' : 'waiting';
  });
  return { states, children, missing, open: states.filter((state) => state !== 'done').length };
}

/** Nodes that may run and have no outcome yet. */
export function readyNodes(dag: DagState): number[] {
  return dag.states.flatMap((state, node) => (state === 'ready' ? [node] : []));
}

/** No node can run any more. */
export function isOver(dag: DagState): boolean {
  return dag.open === 0;
}

/** Takes the outcome of a ready node into `dag`. @throws RangeError when the node was not ready */
export function afterFinish(dag: DagState, node: number, outcome: NodeOutcome): DagChange {
  if (dag.states[node] !== 'ready') throw new RangeError(`node ${node} is ${dag.states[node]}, not ready`);
  dag.states[node] = outcome;
  dag.open -= 1;
  return outcome === 'done'
    ? { ready: releaseChildren(dag, node), skipped: [] }
    : { ready: [], skipped: skipDescendants(dag, node) };
}

function releaseChildren(dag: DagState, node: number): number[] {
  const ready: number[] = [];
  for (const child of dag.children[node]!) {
    dag.missing[child]! -= 1;
    if (dag.missing[child] === 0 && dag.states[child] === 'waiting') {
      dag.states[child] = 'ready';
      ready.push(child);
    }
  }
  return ready.sort((a, b) => a - b);
}

function skipDescendants(dag: DagState, node: number): number[] {
  const skipped: number[] = [];
  const open = [node];
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
