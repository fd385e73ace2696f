/** What happens between a POSTed description and its row. */
import type { Context } from 'hono';
import type { Config } from '../config/config.ts';
import type { Database } from '../db/connection.ts';
import { findKey, type Idempotency } from '../db/idempotency-keys.ts';
import { submitJob, submitJobOnce, type Submission } from '../db/submissions.ts';
import { parseJobDescription } from '../descriptions/job.ts';
import { serverFeaturesOf, unsupportedReason, type Configured } from '../descriptions/unsupported.ts';
import type { Sealing } from '../secrets/sealing.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { readDescription } from './body.ts';
import { badRequest } from './errors.ts';
import { idempotencyOf, acceptedId, readKey } from './idempotency.ts';
import type { QuotaKeeper } from './quotas.ts';
import { withUploads } from './uploaded-objects.ts';
import type { Env } from './resource.ts';

/** What a submission is judged by and kept in. */
export interface SubmitDependencies {
  config: Configured & Pick<Config, 'quotas'>;
  db: Database;
  store: ObjectStore;
  sealing: Sealing;
  wakeOutbox: () => void;
  quotas: QuotaKeeper;
}

export function isDryRun(c: Context): boolean {
  const asked = c.req.query('dryrun') ?? c.req.query('dryRun');
  return asked !== undefined && asked !== 'false' && asked !== '0';
}

/** @returns the job's id. @throws ApiError */
export async function createJob(c: Context<Env>, deps: SubmitDependencies): Promise<number> {
  const key = readKey(c);
  const parsed = parseJobDescription(await readDescription(c));
  if (parsed.kind === 'invalid') {
    throw badRequest(parsed.issues[0]?.message ?? 'invalid job description', { issues: parsed.issues });
  }
  const { submitted } = parsed;
  const identity = c.get('identity');
  const idempotency = idempotencyOf(key, submitted);
  // Before all that may have changed since: what was accepted once stays so.
  const earlier = idempotency && (await findKey(deps.db, identity.owner, idempotency));
  if (earlier) return acceptedId(earlier);
  const given = { ...serverFeaturesOf(deps.config), email: identity.email };
  const unsupported = unsupportedReason(parsed.description, given);
  if (unsupported) throw badRequest(unsupported);
  const [description = parsed.description] = await withUploads(deps, identity, [parsed.description]);
  const id = await deps.quotas.submitting(identity.owner, 1, () =>
    store(deps, { identity, submitted, description }, idempotency),
  );
  deps.wakeOutbox();
  return id;
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
