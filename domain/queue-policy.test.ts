import { describe, expect, it } from 'vitest';
import type { PlacementCandidate, PlacementDecision } from './placement.ts';
import { queueRefusal, waitsOut } from './queue-policy.ts';

const candidate: PlacementCandidate = {
  ...{
    jobId: 1,
    attempt: 1,
    sizes: [],
    sites: [],
    regions: [],
    preferredSites: [],
    preferredRegions: [],
    abilities: [],
  },
};
const never: PlacementDecision = { kind: 'never', candidate, reason: 'too large' };
const busy: PlacementDecision = { kind: 'wait', candidate, reason: 'busy' };
const outage: PlacementDecision = { kind: 'wait', candidate, reason: 'lost', isOutage: true };

const left = (minutes: number, attempt: number) =>
  [busy, outage, never].map(
    (decision) =>
      queueRefusal(decision, waitsOut({ maximumTimeInQueueMinutes: minutes }, attempt))?.statusReason ?? 'waits',
  );

describe('a stay in the queue', () => {
  it.each([
    [0, 1, ['waits', 'No matching resources currently available', 'No matching resources']],
    [0, 2, ['waits', 'waits', 'No matching resources']],
    [-1, 1, ['waits', 'waits', 'waits']],
    [10, 1, ['waits', 'waits', 'waits']],
    [10, 3, ['waits', 'waits', 'waits']],
  ])(
    'of at most %i minutes, before attempt %i, with busy, lost and no fitting machines',
    (minutes, attempt, expected) => {
      expect(left(minutes, attempt)).toEqual(expected);
    },
  );

  it('ends with what the decision says', () => {
    expect(queueRefusal(never, 'busyMachines')).toMatchObject({ statusDetail: 'too large' });
  });
});
