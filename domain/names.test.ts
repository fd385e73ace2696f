import { describe, expect, it } from 'vitest';
import { launchNumberOf } from './launch.ts';
import { parseRunToken, runToken } from './runs.ts';
import { acceptableSizes } from './resources.ts';

describe('names', () => {
  it('run tokens are read back as they were written, and only by their own deployment', () => {
    const run = { deployment: 'p', jobId: 41, attempt: 2, node: 0 };
    expect(parseRunToken('p', runToken(run))).toEqual(run);
    expect(parseRunToken('q', runToken(run))).toBeUndefined();
    expect(parseRunToken('p', 'p-41.2')).toBeUndefined();
    expect(parseRunToken('p', '../etc')).toBeUndefined();
  });

  it('no two launches of a job share a place', () => {
    const seen = new Set<number>();
    for (let task = 0; task < 50; task += 1)
      for (let retry = 0; retry <= 6; retry += 1) seen.add(launchNumberOf(task, retry));
    expect(seen.size).toBe(50 * 7);
    expect(() => launchNumberOf(0, 10)).toThrow(RangeError);
  });

  it('a range of sizes is tried from the largest, and stays a short list', () => {
    const sizes = acceptableSizes({ nodes: 1, cpusRange: [2, 4], memoryPerCpuGb: 2, diskGb: 1 });
    expect(sizes.map(({ cpus, memory }) => [cpus, memory])).toEqual([
      [4, 8e9],
      [3, 6e9],
      [2, 4e9],
    ]);
    expect(acceptableSizes({ nodes: 1, cpusRange: [1, 1e6], memoryGb: 1, diskGb: 1 }).length).toBeLessThan(40);
    const total = { nodes: 1, memoryGb: 1, diskGb: 1 } as const;
    const cpusOf = (sizes: { cpus: number }[]) => sizes.map(({ cpus }) => cpus);
    expect(cpusOf(acceptableSizes({ ...total, cpusRange: [1, 8], totalCpusRange: [2, 4] }))).toEqual([4, 3, 2]);
    expect(cpusOf(acceptableSizes({ ...total, cpusOptions: [2, 8], totalCpusRange: [2, 4] }))).toEqual([2]);
    expect(cpusOf(acceptableSizes({ ...total, cpus: 4, totalCpusRange: [5, 8] }))).toEqual([]);
    expect(acceptableSizes({ nodes: 1, cpusOptions: [4, 16], memoryGb: 1.5, diskGb: 1 })).toMatchObject([
      { cpus: 16, memory: 1.5e9 },
      { cpus: 4 },
    ]);
  });
});
