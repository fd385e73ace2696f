import { ApplicationFailure } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { DrizzleQueryError } from 'drizzle-orm';
import { expect, it } from 'vitest';
import { DescriptionError } from './description-error.ts';
import { HostError } from '../hosts/host.ts';
import { StorageError } from '../storage/errors.ts';
import { guarded } from './guarded.ts';
import type { RetryRecord } from './retry-budget.ts';

/** Failures are what is tested: they are not news. */
const logger = new DefaultLogger('ERROR');

/** As many attempts as it takes, each with what the last heartbeat of the one before told; at most 50. */
async function attempts(errors: (attempt: number) => unknown): Promise<{ number: number; error: unknown }> {
  let heartbeatDetails: RetryRecord | undefined;
  for (let number = 1; ; number += 1) {
    const environment = new MockActivityEnvironment({ attempt: number, heartbeatDetails }, { logger });
    environment.on('heartbeat', (details: RetryRecord) => (heartbeatDetails = details));

    const work = () => guarded(() => Promise.reject(errors(number) as Error));
    const error: unknown = await environment.run(work).then(
      () => undefined,
      (failure: unknown) => failure,
    );
    if (number === 50 || (error instanceof ApplicationFailure && error.nonRetryable)) return { number, error };
  }
}

const refused = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });

it('waits for the database and for machines as long as it takes', async () => {
  expect((await attempts(() => new DrizzleQueryError('select secrets', [], refused))).number).toBe(50);
  expect((await attempts(() => new HostError('unreachable', 'no route'))).number).toBe(50);
});

it('does not take a store that nobody answers at for the database', async () => {
  const closed = () => new StorageError('full', 'the store is full', { cause: refused });
  expect((await attempts(closed)).number).toBe(10);
});

it('gives up what nobody thought of after ten times, however often something else came between', async () => {
  const mixed = (attempt: number) => (attempt % 2 ? new HostError('unreachable', 'no route') : new Error('strange'));
  expect(await attempts(mixed)).toMatchObject({ number: 20, error: { type: 'Unexpected', message: 'Error: strange' } });
});

it('tells users why, and not which query of ours it was', async () => {
  const { error } = await attempts(() => new DrizzleQueryError('select secrets', [], new Error('it is odd')));
  expect((error as Error).message).toBe('Error: it is odd');
});

it('is not final when its own worker goes away', async () => {
  const environment = new MockActivityEnvironment(
    { attempt: 30, heartbeatDetails: { counts: { unexpected: 30 } } },
    { logger },
  );
  const running = environment.run(() =>
    guarded(() => {
      environment.cancel();
      return Promise.reject(new HostError('aborted', 'the caller gave up'));
    }),
  );
  await expect(running).rejects.toThrow(HostError);
});

it('does not try again what fails for the description alone', async () => {
  const { number, error } = await attempts(() => new DescriptionError('cmd ends inside a quotation'));
  expect(number).toBe(1);
  expect((error as ApplicationFailure).message).toBe('cmd ends inside a quotation');
});

it('tells what it waits for and since when, and when that is over', async () => {
  const told: (string | null)[] = [];
  const recordWait = (words: string | null) => Promise.resolve(void told.push(words));
  let heartbeatDetails: RetryRecord | undefined;
  const errors = [
    new HostError('unreachable', 'no route'),
    ApplicationFailure.retryable('the store answered 503', 'StoreIsAway'),
    new Error('strange'),
  ];
  for (const error of [...errors, undefined]) {
    const environment = new MockActivityEnvironment({ heartbeatDetails }, { logger });
    environment.on('heartbeat', (details: RetryRecord) => (heartbeatDetails = details));
    const work = () => guarded(() => (error ? Promise.reject(error) : Promise.resolve('done')), recordWait);
    await environment.run(work).catch(() => undefined);
  }
  const since = new Date(heartbeatDetails!.waitingSince!).toISOString().slice(11, 19);
  expect(told).toEqual([
    `waiting since ${since}Z for the machine: no route`,
    `waiting since ${since}Z for the object store: the store answered 503`,
    null,
  ]);
});

it('tells nothing of work that did not wait', async () => {
  const told: (string | null)[] = [];
  const recordWait = (words: string | null) => Promise.resolve(void told.push(words));
  const environment = new MockActivityEnvironment({}, { logger });
  expect(await environment.run(() => guarded(() => Promise.resolve('done'), recordWait))).toBe('done');
  expect(told).toEqual([]);
});
