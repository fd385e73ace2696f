import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { inTurn, singleJobs, type WaitingJob } from './turns.ts';

const job = (id: number, more: Partial<WaitingJob> = {}): WaitingJob => ({
  id,
  owner: 'ann',
  priority: 0,
  workflowId: singleJobs,
  ...more,
});
const sweep = (first: number, count: number, more: Partial<WaitingJob> = {}) =>
  Array.from({ length: count }, (_, i) => job(first + i, { workflowId: first, ...more }));
const idsOf = (waiting: WaitingJob[], running: WaitingJob[] = []) => inTurn(waiting, running).map(({ id }) => id);

describe('turns', () => {
  test('a single job does not wait for the thousands of a workflow that was there before', () => {
    const waiting = [...sweep(1, 2000), job(5000)];
    expect(idsOf(waiting).indexOf(5000)).toBe(1);
    // When many of it run already, it is the next.
    expect(idsOf(waiting, sweep(1, 10))[0]).toBe(5000);
  });

  test('workflows of one owner take turns, and the highest priority comes before all of them', () => {
    expect(idsOf([...sweep(1, 3), ...sweep(10, 3), job(20), job(21), job(30, { priority: 5 })])).toEqual([
      30, 1, 10, 20, 2, 11, 21, 3, 12,
    ]);
  });

  test('many workflows get an owner no more than one does', () => {
    const many = [1, 10, 20, 30].flatMap((first) => sweep(first, 5));
    const turns = idsOf([...many, ...sweep(100, 5, { owner: 'bob' })]);
    expect(turns.slice(0, 6).filter((id) => id >= 100)).toEqual([100, 101, 102]);
  });

  test('each waiting job has one turn, and a grant to the first changes the order of no others (property)', () => {
    const some = fc.record({
      owner: fc.constantFrom('ann', 'bob'),
      priority: fc.nat(2),
      workflowId: fc.constantFrom(singleJobs, 7, 8),
    });
    fc.assert(
      fc.property(
        fc.array(some, { minLength: 1, maxLength: 20 }),
        fc.array(some, { maxLength: 8 }),
        (jobs, running) => {
          const waiting = jobs.map((each, i) => ({ ...each, id: i + 1 }));
          const turns = inTurn(waiting, running);
          expect(new Set(turns.map(({ id }) => id)).size).toBe(waiting.length);
          const granted = waiting.find(({ id }) => id === turns[0]!.id)!;
          const sameOwner = (id: number) =>
            waiting[id - 1]!.owner === granted.owner && waiting[id - 1]!.priority === granted.priority;
          const rest = inTurn(
            waiting.filter((each) => each !== granted),
            [...running, granted],
          );
          const before = turns
            .slice(1)
            .map(({ id }) => id)
            .filter(sameOwner);
          expect(rest.map(({ id }) => id).filter(sameOwner)).toEqual(before);
        },
      ),
    );
  });
});
