/** What is for operators only: members of one of the configured groups. */
import type { MiddlewareHandler } from 'hono';
import { forbidden } from '../errors.ts';
import type { Env } from '../resource.ts';

/** Stands behind authentication. @throws ApiError 403 from the middleware */
export function operatorsOnly(operatorGroups: readonly string[]): MiddlewareHandler<Env> {
  return async (c, next) => {
    if (!c.get('identity').groups.some((group) => operatorGroups.includes(group))) {
      throw forbidden('This is for operators: members of a group in auth.operatorGroups');
    }
    await next();
  };
}
