/**
 * What the token of a job opens: the routes that say so where they are registered, and nothing else. It reads what its owner
 * may, submits in the owner's name and keeps values. What it submits ends with the sign-in that the job stems from: else
 * jobs that submit jobs would outlive it for ever. Whether the thing asked for is one that the job may change is judged
 * where it is changed (`service/own.ts`).
 */
import type { MiddlewareHandler } from 'hono';
import type { Database } from '../../db/connection.ts';
import { findLiveToken } from '../../db/job-tokens.ts';
import { forbidden, unauthorized } from '../errors.ts';
import type { Env, JobTokenUse } from '../resource.ts';

/** @param delegationSeconds how long after its own sign-in a job may submit */
export function jobScope(
  db: Database,
  delegationSeconds: number,
): (use: JobTokenUse | undefined) => MiddlewareHandler<Env> {
  return (use) => async (c, next) => {
    const identity = c.get('identity');
    const { owner, job } = identity;
    if (job) {
      const live = await findLiveToken(db, { owner, job }, delegationSeconds);
      if (!live) throw unauthorized('Authentication failure', 'the run of the job that it was made for is over');
      const { signInEnds } = live;
      c.set('identity', { ...identity, signInEnds });
      if (!use) throw forbidden('The token of a job can not be used for this');
      if (use === 'submits' && signInEnds * 1000 <= Date.now()) {
        const since = new Date(signInEnds * 1000).toISOString().slice(0, 19);
        throw forbidden(
          `The sign-in that this job stems from ended at ${since}Z, so that it can submit nothing more: sign in and submit anew`,
        );
      }
    }
    await next();
  };
}
