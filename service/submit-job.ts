/** Submitting a job: what every door calls between a document and its row. */
import type { Config } from '../config/config.ts';
import type { Database } from '../db/connection.ts';
import { findKey, type Idempotency } from '../db/idempotency-keys.ts';
import {
  cloneJob,
  findStartedBy,
  submitJob,
  submitJobOnce,
  type Identity,
  type Submission,
} from '../db/submissions.ts';
import { parseJobDescription } from '../descriptions/job.ts';
import { serverFeaturesOf, unsupportedReason, type Configured } from '../descriptions/unsupported.ts';
import type { Sealing } from '../secrets/sealing.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { acceptedId, idempotencyOf, refuseWrongKey } from './idempotency.ts';
import type { QuotaKeeper } from './quotas.ts';
import { invalid } from './rejected.ts';
import { withUploads } from './uploads.ts';

/** What a submission is judged by and kept in. */
export interface SubmitDependencies {
  config: Configured & Pick<Config, 'quotas'>;
  db: Database;
  store: ObjectStore;
  sealing: Sealing;
  /** Told after every commit that left something in the outbox. Must not throw or wait. */
  wakeOutbox: () => void;
  quotas: QuotaKeeper;
}

export interface SubmitOptions {
  /** The same key with the same document is the same job. */
  idempotencyKey?: string | undefined;
  /** An execution that exists already, and runs the job itself: started twice, it is one job. */
  startedBy?: string;
}

/**
 * @param document as it came, with numbers as they were written (`domain/exact-json.ts`)
 * @returns the job's id. @throws Rejected
 */
export async function submit(
  deps: SubmitDependencies,
  identity: Identity,
  document: unknown,
  { idempotencyKey, startedBy }: SubmitOptions = {},
): Promise<number> {
  const { db } = deps;
  refuseWrongKey(idempotencyKey);
  const parsed = parseJobDescription(document);
  if (parsed.kind === 'invalid') {
    throw invalid(parsed.issues[0]?.message ?? 'invalid job description', parsed.issues);
  }
  const { submitted } = parsed;
  const idempotency = idempotencyOf(idempotencyKey, submitted);
  // Before all that may have changed since: what was accepted once stays so.
  const earlier = idempotency && (await findKey(db, identity.owner, idempotency));
  if (earlier) return acceptedId(earlier);
  const registered = startedBy === undefined ? undefined : await findStartedBy(db, startedBy);
  if (registered !== undefined) return registered;
  const given = { ...serverFeaturesOf(deps.config), email: identity.email };
  const unsupported = unsupportedReason(parsed.description, given);
  if (unsupported) throw invalid(unsupported);
  const [description = parsed.description] = await withUploads(deps, identity, [parsed.description]);
  const submission = { identity, submitted, description, ...(startedBy === undefined ? {} : { startedBy }) };
  const id = await deps.quotas.submitting(identity.owner, 1, () => store(deps, submission, idempotency));
  deps.wakeOutbox();
  return id;
}

/** A new job from one of the same owner, as that was submitted. @throws Rejected */
export async function clone(
  { db, quotas, wakeOutbox }: SubmitDependencies,
  identity: Identity,
  jobId: number,
): Promise<number> {
  const cloned = await quotas.submitting(identity.owner, 1, () => cloneJob(db, identity, jobId));
  if (!cloned) throw invalid('Job does not exist');
  wakeOutbox();
  return cloned.id;
}

async function store(
  { db, sealing }: SubmitDependencies,
  plain: Submission,
  idempotency: Idempotency | undefined,
): Promise<number> {
  const { submitted, description } = plain;
  const submission = { ...plain, submitted: sealing.seal(submitted), description: sealing.seal(description) };
  if (!idempotency) return (await submitJob(db, submission)).id;
  return acceptedId(await submitJobOnce(db, submission, idempotency));
}
