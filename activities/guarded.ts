/** What every activity that works on a machine has around it: heartbeats, and the decision whether to try again. */
import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { DrizzleQueryError } from 'drizzle-orm';
import { isUnavailable } from '../db/connection.ts';
import { HostError } from '../hosts/host.ts';
import { StorageError } from '../storage/errors.ts';
import { DescriptionError } from './description-error.ts';
import { RetryBudget } from './retry-budget.ts';

/** Types of failures that are worth waiting for. */
const storeAway = 'StoreIsAway';
const imageAway = 'ImageAway';

/** What failed this often is not going to work: the job says so instead of trying for ever. */
const unexpectedAttempts = 10;

export const storeIsAway = (detail: string): ApplicationFailure => ApplicationFailure.retryable(detail, storeAway);
export const imageIsAway = (detail: string): ApplicationFailure => ApplicationFailure.retryable(detail, imageAway);

/**
 * Heartbeats while working. What can't be done for the description alone is not tried again. A host out of reach is tried
 * for ever (its follower decides when it is lost), our database too (nothing can be decided without it), the object store
 * for as long as we are patient, anything else not. What our own end or the caller's cancels is no failure of the work.
 * @param recordWait what is waited for until the next try; null when it is over
 */
export async function guarded<T>(
  work: (budget: RetryBudget) => Promise<T>,
  recordWait?: (words: string | null) => Promise<void>,
): Promise<T> {
  const context = Context.current();
  const budget = new RetryBudget(context.info.heartbeatDetails);
  const beat = setInterval(() => context.heartbeat(budget.record), 3000);
  try {
    const result = await work(budget);
    if (budget.hasWaited) await recordWait?.(null);
    return result;
  } catch (error) {
    const isEnding = context.cancellationSignal.aborted;
    const isFinal = !isEnding && !mayBeTriedAgain(error, budget);
    const awaited = isEnding || isFinal ? undefined : awaitedIn(error);
    if (awaited !== undefined) {
      const since = `${new Date(budget.wait()).toISOString().slice(11, 19)}Z`;
      // That it could not be told is no reason to stop waiting.
      await recordWait?.(`waiting since ${since} for ${awaited}: ${(error as Error).message}`).catch(() => {});
    }
    // The worker sends the last heartbeat before it reports a failure.
    context.heartbeat(budget.record);
    if (isFinal) throw ApplicationFailure.nonRetryable(wordsOf(error), 'Unexpected');
    throw error;
  } finally {
    clearInterval(beat);
  }
}

/** What is away in whose absence the work could not be done; undefined: nothing that a user would know. */
function awaitedIn(error: unknown): string | undefined {
  if (error instanceof ApplicationFailure) {
    if (error.type === storeAway) return 'the object store';
    return error.type === imageAway ? 'the source of the image' : undefined;
  }
  if (error instanceof StorageError) return 'the object store';
  return error instanceof HostError ? 'the machine' : undefined;
}

function mayBeTriedAgain(error: unknown, budget: RetryBudget): boolean {
  if (error instanceof DescriptionError) return false;
  // It says itself whether it may.
  if (error instanceof ApplicationFailure) return true;
  if (error instanceof HostError && error.code !== 'aborted') return true;
  const isOfStore = error instanceof StorageError;
  if (isOfStore && error.code === 'unavailable' && budget.mayWaitForStore()) return true;
  if (!isOfStore && isUnavailable(error)) return true;
  return budget.count('unexpected') < unexpectedAttempts;
}

/** For the user: a query of ours that failed is none of their business, but why it did is. */
const wordsOf = (error: unknown): string =>
  error instanceof DescriptionError
    ? error.message
    : String(error instanceof DrizzleQueryError && error.cause ? error.cause : error);
