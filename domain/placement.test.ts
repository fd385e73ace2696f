import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decide, fits, type PlaceableMachine, type PlacementCandidate } from './placement.ts';
import { mountAbility } from './mount.ts';

const gb = 1e9;

function machine(id: number, cpus: number, freeCpus = cpus, more: Partial<PlaceableMachine> = {}): PlaceableMachine {
  return {
    id,
    site: 'a',
    region: null,
    isReady: true,
    total: { cpus, memory: cpus * gb, disk: 100 * gb },
    free: { cpus: freeCpus, memory: freeCpus * gb, disk: 100 * gb },
    ...more,
  };
}

function candidate(jobId: number, cpus: number | number[], more: Partial<PlacementCandidate> = {}): PlacementCandidate {
  const sizes = [cpus].flat().map((n) => ({ cpus: n, memory: n * gb, disk: gb }));
  return {
    jobId,
    attempt: 1,
    sizes,
    sites: [],
    regions: [],
    preferredSites: [],
    preferredRegions: [],
    abilities: [],
    ...more,
  };
}

describe('placement', () => {
  it('takes the fullest machine that still fits', () => {
    const [decision] = decide([candidate(1, 2)], [machine(1, 8), machine(2, 8, 2), machine(3, 8, 1)]);
    expect(decision).toMatchObject({ kind: 'place', machineId: 2 });
  });

  it('takes the largest size of a range that some machine has free', () => {
    const [decision] = decide([candidate(1, [8, 4, 2])], [machine(1, 8, 5)]);
    expect(decision).toMatchObject({ kind: 'place', size: { cpus: 4 } });
  });

  it('lets small jobs pass a big one only on machines the big one does not wait for', () => {
    const decisions = decide([candidate(1, 8), candidate(2, 1), candidate(3, 1)], [machine(1, 8, 4), machine(2, 2, 1)]);
    expect(decisions.map((d) => (d.kind === 'place' ? d.machineId : d.kind))).toEqual(['wait', 2, 'wait']);
  });

  it('says never, and why, when no machine is large enough or at the right site', () => {
    const [tooBig, elsewhere] = decide([candidate(1, 64), candidate(2, 1, { sites: ['b'] })], [machine(1, 8)]);
    expect(tooBig).toMatchObject({ kind: 'never', reason: expect.stringContaining('64 cpus') as string });
    expect(elsewhere).toMatchObject({ kind: 'never', reason: 'no machine is at the sites or regions asked for' });
  });

  it('takes no machine that lacks a runtime, and says so when all do', () => {
    const plain = machine(1, 8, 1, { abilities: ['singularity'] });
    const asked = candidate(1, 1, { abilities: ['singularity', 'udocker'] });
    expect(decide([asked], [plain, machine(2, 8, 8, { abilities: ['singularity', 'udocker'] })])[0]).toMatchObject({
      kind: 'place',
      machineId: 2,
    });
    expect(decide([asked], [plain])[0]).toMatchObject({
      kind: 'never',
      reason: 'no machine that may run it has udocker',
    });
    const broken = machine(3, 8, 8, { abilities: ['singularity'], unableToRun: { udocker: 'docker: no daemon' } });
    expect(decide([asked], [plain, broken])[0]).toMatchObject({
      reason: 'no machine that may run it has udocker (docker: no daemon)',
    });
    // So with what mounts the storage of a job.
    const mounting = candidate(2, 1, { abilities: ['singularity', mountAbility('webdav')] });
    expect(decide([mounting], [plain])[0]).toMatchObject({
      kind: 'never',
      reason: 'no machine that may run it has webdav mounts',
    });
    // One that was never seen may have it.
    expect(decide([asked], [plain, machine(2, 8, 8, { isReady: false })])[0]).toMatchObject({ kind: 'wait' });
  });

  it('waits, not fails, for machines that are out of reach', () => {
    const reasonFor = (changes: Partial<PlaceableMachine>) =>
      decide([candidate(1, 1)], [machine(1, 8, 8, { isReady: false, ...changes })])[0];
    expect(reasonFor({ abilities: ['singularity'] })).toMatchObject({
      kind: 'wait',
      reason: expect.stringMatching(/out of reach/) as string,
    });
    expect(reasonFor({ isLost: true })).toMatchObject({
      kind: 'wait',
      reason: expect.stringMatching(/out of reach/) as string,
    });
    expect(reasonFor({})).toMatchObject({ kind: 'wait', reason: expect.stringMatching(/has answered yet/) as string });
  });

  it('honours the order of preferred sites before best fit', () => {
    const machines = [machine(1, 8, 1), machine(2, 8, 8, { site: 'b' })];
    const [decision] = decide([candidate(1, 1, { preferredSites: ['b'] })], machines);
    expect(decision).toMatchObject({ kind: 'place', machineId: 2 });
  });

  it('never hands out more than is free, nor outside the requirements (property)', () => {
    const machines = fc.array(
      fc.record({
        cpus: fc.integer({ min: 1, max: 16 }),
        used: fc.integer({ min: 0, max: 16 }),
        isReady: fc.boolean(),
        site: fc.constantFrom('a', 'b'),
      }),
      { maxLength: 8 },
    );
    const asked = fc.array(
      fc.record({
        sizes: fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 3 }),
        sites: fc.subarray(['a', 'b']),
      }),
      { maxLength: 30 },
    );
    fc.assert(
      fc.property(machines, asked, (made, wanted) => {
        const all = made.map((m, index) =>
          machine(index + 1, m.cpus, Math.max(0, m.cpus - m.used), { isReady: m.isReady, site: m.site }),
        );
        const candidates = wanted.map((w, index) => candidate(index, w.sizes, { sites: w.sites }));
        const free = new Map(all.map((m) => [m.id, { ...m.free }]));
        const decisions = decide(candidates, all);
        expect(decisions).toHaveLength(candidates.length);
        for (const decision of decisions) {
          if (decision.kind !== 'place') continue;
          const at = all.find((m) => m.id === decision.machineId)!;
          expect(at.isReady).toBe(true);
          expect(decision.candidate.sites.length === 0 || decision.candidate.sites.includes(at.site)).toBe(true);
          expect(decision.candidate.sizes).toContainEqual(decision.size);
          expect(fits(decision.size, free.get(at.id)!)).toBe(true);
          free.get(at.id)!.cpus -= decision.size.cpus;
          free.get(at.id)!.memory -= decision.size.memory;
          free.get(at.id)!.disk -= decision.size.disk;
        }
      }),
    );
  });
});
