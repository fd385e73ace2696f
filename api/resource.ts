/**
 * A path and what can be done with it: everything else there is answered 405 with what is allowed. What each method says
 * of itself is kept beside it, and becomes the OpenAPI document.
 */
import type { Context, Hono, MiddlewareHandler } from 'hono';
import type { Identity } from '../db/submissions.ts';
import type { Operation, RegisteredRoute } from './openapi/operation.ts';

export interface Env {
  Variables: { identity: Identity };
}
export type App = Hono<Env>;
export type Handler = (c: Context<Env>) => Promise<Response> | Response;

type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

/** What the token of a job may do by a route. What makes new jobs ends with the sign-in that the job stems from. */
export type JobTokenUse = 'reads' | 'submits' | 'changes';

/** What stands before a route. Closed to tokens of jobs where no use of them is given. */
export type Guards = (use?: JobTokenUse) => MiddlewareHandler<Env>[];
export const unguarded: Guards = () => [];

const registered = new WeakMap<App, RegisteredRoute[]>();

/** In the order they were registered on this app itself, not on those it was mounted into. */
export const routesOf = (app: App): readonly RegisteredRoute[] => registered.get(app) ?? [];

export interface Resource extends Partial<Record<Method, Handler>> {
  /** What each method says of itself; a test fails for one that says nothing. */
  docs?: Partial<Record<Method, Operation>>;
  /** What of it is open to tokens of jobs. */
  jobToken?: Partial<Record<Method, JobTokenUse>>;
}

export function resource(
  app: App,
  path: string,
  guards: Guards,
  { docs = {}, jobToken = {}, ...handlers }: Resource,
): void {
  const methods = Object.keys(handlers) as Method[];
  for (const method of methods) {
    const handler = handlers[method];
    if (handler) route(app, method, path, guards, handler, { operation: docs[method], jobToken: jobToken[method] });
  }
  const allow = [...methods, ...(handlers.GET ? ['HEAD'] : [])].sort().join(', ');
  app.all(path, (c) =>
    c.json({ error: `${c.req.method} is not possible here; allowed: ${allow}` }, 405, { Allow: allow }),
  );
}

/** One method of a path whose others are those of a more general path. */
export function route(
  app: App,
  method: Method,
  path: string,
  guards: Guards,
  handler: Handler,
  { operation, jobToken }: { operation?: Operation | undefined; jobToken?: JobTokenUse | undefined } = {},
): void {
  const before = guards(jobToken);
  app.on(method, [path], ...before, handler);
  registered.set(app, [...routesOf(app), { method, path, isGuarded: before.length > 0, operation, jobToken }]);
}
