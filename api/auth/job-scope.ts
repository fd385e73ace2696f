/**
 * What the token of a job opens. It reads what its owner may, submits in the owner's name and keeps values; it makes no
 * tokens, and everything that is not listed here stays closed to it. Whether the thing asked for is one that the job may
 * change is judged where it is changed.
 */
import type { MiddlewareHandler } from 'hono';
import type { Database } from '../../db/connection.ts';
import { isTokenAlive } from '../../db/job-tokens.ts';
import { forbidden, unauthorized } from '../errors.ts';
import type { Env } from '../resource.ts';

const open = new Map([
  ['GET', /^\/(jobs|workflows|data|kv|resources|accounting|ts)(\/|$)/],
  ['POST', /^\/(jobs|workflows|data|data\/upload|data\/output|ts|kv\/.*|jobs\/\d+\/exec)$/],
  ['PUT', /^\/(jobs\/\d+\/(clone|remove|snapshot)|workflows\/\d+(\/(clone|remove))?)$/],
  ['DELETE', /^\/(jobs|workflows|jobs\/\d+|workflows\/\d+|kv\/.*)$/],
]);

export function mayUse(method: string, path: string): boolean {
  return open.get(method === 'HEAD' ? 'GET' : method)?.test(path) ?? false;
}

/** @param prefixes of paths, as the routes are mounted. @throws ApiError 401 or 403 from the middleware */
export function jobScope(db: Database, prefixes: readonly string[]): MiddlewareHandler<Env> {
  return async (c, next) => {
    const { owner, job } = c.get('identity');
    if (job) {
      if (!(await isTokenAlive(db, { owner, job }))) {
        throw unauthorized('Authentication failure', 'the run of the job that it was made for is over');
      }
      const prefix = prefixes.find((each) => c.req.path.startsWith(`${each}/`)) ?? '';
      if (!mayUse(c.req.method, c.req.path.slice(prefix.length))) {
        throw forbidden('The token of a job can not be used for this');
      }
    }
    await next();
  };
}
