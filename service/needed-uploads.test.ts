import { describe, expect, it } from 'vitest';
import type { JobDescription } from '../domain/description.ts';
import type { Factory } from '../domain/workflow-description.ts';
import { neededUploads } from './needed-uploads.ts';

const job = (urls: string[], images: string[] = []) =>
  ({
    tasks: images.map((image) => ({ image })),
    artifacts: urls.map((url) => ({ url, executable: false })),
  }) as unknown as JobDescription;
const sweep = (...parameters: [name: string, count: number][]): Factory => ({
  kind: 'parameterSweep',
  name: 'f',
  jobs: [],
  parameters: parameters.map(([name, count]) => ({ name, count, start: 1, step: 1 })),
});
const names = (jobs: JobDescription[], factory?: Factory) =>
  [...neededUploads(jobs, () => factory)].map(({ name }) => name);

describe('the uploads that a submit names', () => {
  it('are images and artifacts, as the instances call them', () => {
    expect(names([job(['$x.tgz', 'http://a/$x', 'b'], ['c.sif', 'busybox'])], sweep(['x', 2]))).toEqual([
      'c.sif',
      '1.tgz',
      '2.tgz',
      'b',
    ]);
    const zip: Factory = {
      kind: 'zip',
      name: 'f',
      jobs: [],
      parameters: [
        { name: 'x', values: ['p', 'q'] },
        { name: 'y', values: [1, 2] },
      ],
    };
    expect(names([job(['lab/${x}/$y', '$y'])], zip)).toEqual(['lab/p/1', 'lab/q/2', '1', '2']);
  });

  it('are one where the factory does not change the name', () => {
    const factory = sweep(['x', 1000], ['y', 1000]);
    expect(names([job(['x', '$$x', '$xx', '$HOME', '$y'])], factory)).toHaveLength(4 + 1000);
    expect(names([job(['$x'])], { kind: 'repeat', name: 'f', jobs: [], number: 1_000_000 })).toEqual(['$x']);
  });

  it('are made once for each factory, and each image once', () => {
    const jobs = Array.from({ length: 2000 }, () => job(['a', '$x', 'a'], ['c.sif', 'c.sif']));
    expect(names(jobs, sweep(['x', 3]))).toEqual(['c.sif', 'a', '1', '2', '3']);
    expect(names(jobs)).toEqual(['c.sif', 'a', '$x']);
  });

  it('have an end, and are only made when they are asked for', () => {
    const many = job(Array.from({ length: 1000 }, (_, i) => `${i}-$x`));
    const begin = performance.now();
    expect(neededUploads([many], () => sweep(['x', 1_000_000])).next().value).toMatchObject({ name: '0-1' });
    expect(performance.now() - begin).toBeLessThan(1000);
    expect(names([many], sweep(['x', 1_000_000]))).toHaveLength(10_000);
  });
});
