import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { afterFinish, isOver, openDag, readySteps, type DagStep, type StepState } from './dag.ts';

/** Parents always come earlier, as no graph with cycles is ever accepted; the order of steps is shuffled after. */
const graphs = fc
  .integer({ min: 0, max: 25 })
  .chain((size) =>
    fc.record({
      parents: fc.tuple(
        ...Array.from({ length: size }, (_, step) =>
          fc.uniqueArray(fc.nat({ max: Math.max(0, step - 1) }), { maxLength: step === 0 ? 0 : 4 }),
        ),
      ),
      order: fc.shuffledSubarray(
        Array.from({ length: size }, (_, step) => step),
        { minLength: size },
      ),
      fails: fc.array(fc.boolean(), { minLength: size, maxLength: size }),
      picks: fc.array(fc.nat(), { minLength: size, maxLength: size }),
    }),
  )
  .map(({ parents, order, fails, picks }) => {
    const steps: DagStep[] = [];
    for (const [step, earlier] of parents.entries()) {
      steps[order[step]!] = { parents: earlier.map((parent) => order[parent]!), isDone: false };
    }
    return { steps, fails, picks };
  });

/** What each step must come to, from the definition alone. */
function model(steps: DagStep[], fails: boolean[]): StepState[] {
  const known = new Map<number, StepState>();
  const stateOf = (step: number): StepState => {
    const found = known.get(step);
    if (found) return found;
    const { parents, isDone } = steps[step]!;
    const mayRun = parents.every((parent) => stateOf(parent) === 'done');
    const state = isDone ? 'done' : !mayRun ? 'skipped' : fails[step] ? 'failed' : 'done';
    known.set(step, state);
    return state;
  };
  return steps.map((_, step) => stateOf(step));
}

function run(steps: DagStep[], fails: boolean[], picks: number[]) {
  const dag = openDag(steps);
  const ready = readySteps(dag);
  const ran: number[] = [];
  const skipped: number[] = [];
  for (let round = 0; ready.length > 0; round += 1) {
    const [step] = ready.splice((picks[round] ?? 0) % ready.length, 1);
    for (const parent of steps[step!]!.parents) expect(dag.states[parent]).toBe('done');
    ran.push(step!);
    const change = afterFinish(dag, step!, fails[step!] ? 'failed' : 'done');
    ready.push(...change.ready);
    skipped.push(...change.skipped);
    expect(readySteps(dag).sort()).toEqual([...ready].sort());
  }
  return { dag, ran, skipped };
}

describe('a DAG', () => {
  it('runs each step at most once, after its parents, and ends as the definition says', () => {
    fc.assert(
      fc.property(graphs, ({ steps, fails, picks }) => {
        const { dag, ran, skipped } = run(steps, fails, picks);
        expect(dag.states).toEqual(model(steps, fails));
        expect(isOver(dag)).toBe(true);
        expect(new Set(ran).size).toBe(ran.length);
        expect([...ran, ...skipped].sort((a, b) => a - b)).toEqual(steps.map((_, step) => step));
      }),
    );
  });

  it('keeps what was done before, and runs only the rest', () => {
    fc.assert(
      fc.property(graphs, ({ steps, fails, picks }) => {
        const first = model(steps, fails);
        const again = steps.map((step, i) => ({ ...step, isDone: first[i] === 'done' }));
        const { dag, ran } = run(
          again,
          steps.map(() => false),
          picks,
        );
        expect(dag.states.every((state) => state === 'done')).toBe(true);
        expect(ran.sort((a, b) => a - b)).toEqual(first.flatMap((state, step) => (state === 'done' ? [] : [step])));
      }),
    );
  });

  it('takes no outcome of a step that was not ready', () => {
    const dag = openDag([
      { parents: [], isDone: false },
      { parents: [0], isDone: false },
    ]);
    expect(() => afterFinish(dag, 1, 'done')).toThrow(RangeError);
  });
});
