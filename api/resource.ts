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

const registered = new WeakMap<App, RegisteredRoute[]>();

/** In the order they were registered on this app itself, not on those it was mounted into. */
export const routesOf = (app: App): readonly RegisteredRoute[] => registered.get(app) ?? [];

export interface Resource extends Partial<Record<Method, Handler>> {
  /** What each method says of itself; a test fails for one that says nothing. */
  docs?: Partial<Record<Method, Operation>>;
}

export function resource(
  app: App,
  path: string,
  guards: MiddlewareHandler<Env>[],
  { docs = {}, ...handlers }: Resource,
): void {
  const methods = Object.keys(handlers) as Method[];
  for (const method of methods) {
    const handler = handlers[method];
    if (handler) route(app, method, path, guards, handler, docs[method]);
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
  guards: MiddlewareHandler<Env>[],
  handler: Handler,
  operation?: Operation,
): void {
  app.on(method, [path], ...guards, handler);
  registered.set(app, [...routesOf(app), { method, path, isGuarded: guards.length > 0, operation }]);
}
