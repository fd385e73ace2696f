import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { afterFinish, isOver, openDag, readyNodes, type DagNode, type NodeState } from './dag.ts';

/** Parents always come earlier, as no graph with cycles is ever accepted; the order of nodes is shuffled after. */
const graphs = fc
  .integer({ min: 0, max: 25 })
  .chain((size) =>
    fc.record({
      parents: fc.tuple(
        ...Array.from({ length: size }, (_, node) =>
          fc.uniqueArray(fc.nat({ max: Math.max(0, node - 1) }), { maxLength: node === 0 ? 0 : 4 }),
        ),
      ),
      order: fc.shuffledSubarray(
        Array.from({ length: size }, (_, node) => node),
        { minLength: size },
      ),
      fails: fc.array(fc.boolean(), { minLength: size, maxLength: size }),
      picks: fc.array(fc.nat(), { minLength: size, maxLength: size }),
    }),
  )
  .map(({ parents, order, fails, picks }) => {
    const nodes: DagNode[] = [];
    for (const [node, earlier] of parents.entries()) {
      nodes[order[node]!] = { parents: earlier.map((parent) => order[parent]!), isDone: false };
    }
    return { nodes, fails, picks };
  });

/** What each node must come to, from the definition alone. */
function model(nodes: DagNode[], fails: boolean[]): NodeState[] {
  const known = new Map<number, NodeState>();
  const stateOf = (node: number): NodeState => {
    const found = known.get(node);
    if (found) return found;
    const { parents, isDone } = nodes[node]!;
    const mayRun = parents.every((parent) => stateOf(parent) === 'done');
    const state = isDone ? 'done' : !mayRun ? 'skipped' : fails[node] ? 'failed' : 'done';
    known.set(node, state);
    return state;
  };
  return nodes.map((_, node) => stateOf(node));
}

function run(nodes: DagNode[], fails: boolean[], picks: number[]) {
  const dag = openDag(nodes);
  const ready = readyNodes(dag);
  const ran: number[] = [];
  const skipped: number[] = [];
  for (let step = 0; ready.length > 0; step += 1) {
    const [node] = ready.splice((picks[step] ?? 0) % ready.length, 1);
    for (const parent of nodes[node!]!.parents) expect(dag.states[parent]).toBe('done');
    ran.push(node!);
    const change = afterFinish(dag, node!, fails[node!] ? 'failed' : 'done');
    ready.push(...change.ready);
    skipped.push(...change.skipped);
    expect(readyNodes(dag).sort()).toEqual([...ready].sort());
  }
  return { dag, ran, skipped };
}

describe('a DAG', () => {
  it('runs each node at most once, after its parents, and ends as the definition says', () => {
    fc.assert(
      fc.property(graphs, ({ nodes, fails, picks }) => {
        const { dag, ran, skipped } = run(nodes, fails, picks);
        expect(dag.states).toEqual(model(nodes, fails));
        expect(isOver(dag)).toBe(true);
        expect(new Set(ran).size).toBe(ran.length);
        expect([...ran, ...skipped].sort((a, b) => a - b)).toEqual(nodes.map((_, node) => node));
      }),
    );
  });

  it('keeps what was done before, and runs only the rest', () => {
    fc.assert(
      fc.property(graphs, ({ nodes, fails, picks }) => {
        const first = model(nodes, fails);
        const again = nodes.map((node, i) => ({ ...node, isDone: first[i] === 'done' }));
        const { dag, ran } = run(
          again,
          nodes.map(() => false),
          picks,
        );
        expect(dag.states.every((state) => state === 'done')).toBe(true);
        expect(ran.sort((a, b) => a - b)).toEqual(first.flatMap((state, node) => (state === 'done' ? [] : [node])));
      }),
    );
  });

  it('takes no outcome of a node that was not ready', () => {
    const dag = openDag([
      { parents: [], isDone: false },
      { parents: [0], isDone: false },
    ]);
    expect(() => afterFinish(dag, 1, 'done')).toThrow(RangeError);
  });
});
