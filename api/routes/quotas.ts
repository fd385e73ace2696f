/** What the one who asks may have and do here, and how much of it is used. */
import type { MiddlewareHandler } from 'hono';
import { quotasOperation } from '../openapi/others.ts';
import type { QuotaKeeper } from '../../service/quotas.ts';
import { resource, type App, type Env } from '../resource.ts';

export function quotaRoutes(app: App, guards: MiddlewareHandler<Env>[], { quotas }: { quotas: QuotaKeeper }): void {
  resource(app, '/quotas', guards, {
    docs: { GET: quotasOperation },
    GET: async (c) => c.json(await quotas.show(c.get('identity').owner)),
  });
}
