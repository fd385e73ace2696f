/**
 * What the token of a job opens. It reads what its owner may, submits in the owner's name and keeps values; it makes no
 * tokens, and everything that is not listed here stays closed to it. What it submits ends with the sign-in that the job stems
 * from: else jobs that submit jobs would outlive it for ever. Whether the thing asked for is one that the job may
 * change is judged where it is changed.
 */
import type { MiddlewareHandler } from 'hono';
import type { Database } from '../../db/connection.ts';
import { findLiveToken } from '../../db/job-tokens.ts';
import { forbidden, unauthorized } from '../errors.ts';
import type { Env } from '../resource.ts';

const open = new Map([
  ['GET', /^\/(jobs|workflows|data|kv|resources|accounting|quotas|ts)(\/|$)/],
  ['POST', /^\/(jobs|workflows|data|data\/upload|data\/output|ts|kv\/.*|jobs\/\d+\/exec)$/],
  ['PUT', /^\/(jobs\/\d+\/(clone|remove|snapshot)|workflows\/\d+(\/(clone|remove))?)$/],
  ['DELETE', /^\/(jobs|workflows|jobs\/\d+|workflows\/\d+|kv\/.*)$/],
]);

export function mayUse(method: string, path: string): boolean {
  return open.get(method === 'HEAD' ? 'GET' : method)?.test(path) ?? false;
}

const submits = new Map([
  ['POST', /^\/(jobs|workflows)$/],
  ['PUT', /^\/(jobs\/\d+\/clone|workflows\/\d+(\/clone)?)$/],
]);

/** What makes new jobs. */
export function isSubmit(method: string, path: string): boolean {
  return submits.get(method)?.test(path) ?? false;
}

interface Rules {
  /** Of paths, as the routes are mounted. */
  prefixes: readonly string[];
  delegationSeconds: number;
}

/** @throws ApiError 401 or 403 from the middleware */
export function jobScope(db: Database, { prefixes, delegationSeconds }: Rules): MiddlewareHandler<Env> {
  return async (c, next) => {
    const identity = c.get('identity');
    const { owner, job } = identity;
    if (job) {
      const live = await findLiveToken(db, { owner, job }, delegationSeconds);
      if (!live) throw unauthorized('Authentication failure', 'the run of the job that it was made for is over');
      const { signInEnds } = live;
      c.set('identity', { ...identity, signInEnds });
      const prefix = prefixes.find((each) => c.req.path.startsWith(`${each}/`)) ?? '';
      const path = c.req.path.slice(prefix.length);
      if (!mayUse(c.req.method, path)) throw forbidden('The token of a job can not be used for this');
      if (isSubmit(c.req.method, path) && signInEnds * 1000 <= Date.now()) {
        const since = new Date(signInEnds * 1000).toISOString().slice(0, 19);
        throw forbidden(
          `The sign-in that this job stems from ended at ${since}Z, so that it can submit nothing more: sign in and submit anew`,
        );
      }
    }
    await next();
  };
}
