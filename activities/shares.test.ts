import { expect, it } from 'vitest';
import { inShares } from './shares.ts';

const refOf = (jobId: number) => ({ jobId, attempt: 1 });

it('leaves half of the slots to others, and gives back what is over', async () => {
  const ends: (() => void)[] = [];
  const owners = ['ann', 'ann', 'ann', 'bob'];
  const { stageIn } = inShares(
    { stageIn: ({ jobId }: { jobId: number }) => new Promise<number>((resolve) => ends.push(() => resolve(jobId))) },
    { slots: 4, ownerOf: ({ jobId }) => Promise.resolve(owners[jobId]) },
  );
  const first = stageIn(refOf(0));
  const second = stageIn(refOf(1));
  await expect(stageIn(refOf(2))).rejects.toMatchObject({ type: 'WaitsForOwn', nonRetryable: false });
  const others = stageIn(refOf(3));
  await Promise.resolve();
  ends[0]!();
  expect(await first).toBe(0);
  const again = stageIn(refOf(2));
  await expect.poll(() => ends.length).toBe(4);
  for (const end of ends) end();
  expect(await Promise.all([second, others, again])).toEqual([1, 3, 2]);
});

it('is given back by what fails', async () => {
  const { pull } = inShares(
    { pull: (_: { jobId: number }) => Promise.reject(new Error('no')) },
    { slots: 2, ownerOf: () => Promise.resolve('ann') },
  );
  for (let tries = 0; tries < 3; tries += 1) await expect(pull(refOf(1))).rejects.toThrow('no');
});
