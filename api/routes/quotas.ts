/** What the one who asks may have and do here, and how much of it is used. */
import { quotasOperation } from '../openapi/others.ts';
import type { QuotaKeeper } from '../../service/quotas.ts';
import { resource, type App, type Guards } from '../resource.ts';

export function quotaRoutes(app: App, guards: Guards, { quotas }: { quotas: QuotaKeeper }): void {
  resource(app, '/quotas', guards, {
    docs: { GET: quotasOperation },
    jobToken: { GET: 'reads' },
    GET: async (c) => c.json(await quotas.show(c.get('identity').owner)),
  });
}
