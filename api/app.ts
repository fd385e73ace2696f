/**
 * The REST API as one Hono app. Every route exists under three prefixes, because clients of different ages were told
 * different ones; all behave the same. Nothing here keeps state: any number of these may run.
 */
import { Hono } from 'hono';
import type { PayloadCodec } from '@temporalio/common';
import { bodyLimit } from 'hono/body-limit';
import { cors } from 'hono/cors';
import type { Logger } from 'pino';
import type { Config } from '../config/config.ts';
import type { Database } from '../db/connection.ts';
import type { Sealing } from '../secrets/sealing.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { authentication, delegationSecondsOf, headerToken, type TokenReader } from './auth/authentication.ts';
import type { BarList } from './auth/bars.ts';
import { operatorsOnly } from './auth/operators.ts';
import { deviceLogin, type DeviceLogin } from './auth/device-login.ts';
import { jobScope } from './auth/job-scope.ts';
import { ApiError, errorAnswer } from './errors.ts';
import { routesOf, type App, type Env, type Guards } from './resource.ts';
import { timeLimit } from './time-limit.ts';
import { quotaKeeper } from '../service/quotas.ts';
import { accountingRoutes } from './routes/accounting.ts';
import { dataOutputRoutes } from './routes/data-output.ts';
import { codecSessionRoutes, codecToken, formToken } from './routes/codec-session.ts';
import { barRoutes } from './routes/bars.ts';
import { codecRoutes } from './routes/codec.ts';
import { openApiDocument } from './openapi/document.ts';
import { documentRoutes } from './routes/documents.ts';
import { dataRoutes } from './routes/data.ts';
import { healthRoutes } from './routes/health.ts';
import { jobCallRoutes } from './routes/job-calls.ts';
import { jobOutputRoutes } from './routes/job-output.ts';
import { jobRoutes } from './routes/jobs.ts';
import { kvRoutes } from './routes/kv.ts';
import { quotaRoutes } from './routes/quotas.ts';
import { resourceRoutes } from './routes/resources.ts';
import { timeSeriesRoutes } from './routes/time-series.ts';
import { tokenRoutes } from './routes/token.ts';

import { loginRoutes } from './routes/login.ts';
import { workflowRoutes } from './routes/workflows.ts';

export interface ApiDependencies {
  config: Pick<Config, 'auth' | 'login' | 'notifications' | 'quotas'> & {
    api: Pick<Config['api'], 'maxBodyBytes' | 'publicUrl'>;
    execution: Pick<Config['execution'], 'benchmarkRuntime' | 'maximumJobsPerWorkflow' | 'imageDirectories'>;
    temporal: Pick<Config['temporal'], 'uiOrigin'>;
  };
  db: Database;
  store: ObjectStore;
  sealing: Sealing;
  codec: PayloadCodec;
  /** Told after every commit that left something in the outbox. Must not throw or wait. */
  wakeOutbox: () => void;
  log: Logger;
  bars: BarList;
  /** Serves the signed URLs of the local store; it stands outside of authentication. Absent with S3. */
  objects?: Hono;
  /** How long an answer may take to begin: a database that hangs must not make clients hang. Below their 150 s. */
  answerWithinMs?: number;
}

const documentedPrefix = '/v1';
const prefixes = [documentedPrefix, '/prominence/v1', '/api/v1'];

export function createApi(given: ApiDependencies): Hono<Env> {
  const deps = { ...given, quotas: quotaKeeper(given.db, given.config.quotas) };
  const { bars } = deps;
  const app: App = new Hono<Env>();
  app.onError(errorAnswer(deps.log));
  app.notFound((c) => c.json({ error: `There is nothing at ${c.req.path}` }, 404));

  const scope = jobScope(deps.db, delegationSecondsOf(deps.config.auth));
  const guardsFor = (readToken: TokenReader): Guards => {
    // One for all routes: it remembers what providers said.
    const authenticated = authentication(deps.config.auth, readToken, bars);
    return (use) => [
      timeLimit(deps.answerWithinMs ?? 120_000),
      authenticated,
      scope(use),
      limitBody(deps.config.api.maxBodyBytes),
    ];
  };
  const guards = guardsFor(headerToken);
  const routes: App = new Hono<Env>();
  healthRoutes(routes, deps);
  jobRoutes(routes, guards, deps);
  jobOutputRoutes(routes, guards, deps);
  jobCallRoutes(routes, guards, deps);
  dataOutputRoutes(routes, guards, deps);
  dataRoutes(routes, guards, deps);
  workflowRoutes(routes, guards, deps);
  kvRoutes(routes, guards, deps);
  accountingRoutes(routes, guards, deps);
  resourceRoutes(routes, guards, deps);
  timeSeriesRoutes(routes, guards, deps);
  tokenRoutes(routes, guards, deps);
  quotaRoutes(routes, guards, deps);
  const operators = operatorsOnly(deps.config.auth.operatorGroups);
  barRoutes(routes, () => [...guards(), operators], deps);
  for (const prefix of prefixes) app.route(prefix, routes);
  healthRoutes(app, deps);
  const login = configuredLogin(deps.config);
  // Clients give up after 10 s, and nothing they send here is large.
  if (login) loginRoutes(app, () => [timeLimit(30_000), limitBody(65_536)], login);
  const { uiOrigin } = deps.config.temporal;
  if (uiOrigin !== undefined) app.use('/codec/*', forPagesOf(uiOrigin));
  const codecGuards = guardsFor(codecToken);
  codecRoutes(app, () => [...codecGuards(), operators], deps.codec);
  // The token itself is in the body, so that is bounded first.
  const sessionGuards = () => [
    timeLimit(30_000),
    limitBody(65_536),
    authentication(deps.config.auth, formToken, bars),
    operators,
  ];
  codecSessionRoutes(app, sessionGuards, deps.config.api.publicUrl.startsWith('https:'));
  documentRoutes(app, () =>
    openApiDocument([
      { prefix: documentedPrefix, routes: routesOf(routes) },
      { prefix: '', routes: routesOf(app) },
    ]),
  );
  if (deps.objects) app.route('/', deps.objects);
  return app;
}

function configuredLogin({ login, auth }: Pick<Config, 'auth' | 'login'>): DeviceLogin | undefined {
  const issuer = auth.issuers.find(({ issuer }) => issuer === login?.issuer);
  return login && issuer && deviceLogin(login, issuer, auth);
}

function forPagesOf(origin: string) {
  const allowHeaders = ['Authorization', 'Content-Type', 'X-Namespace'];
  return cors({ origin, allowMethods: ['POST'], allowHeaders, credentials: true, maxAge: 600 });
}

function limitBody(maxSize: number) {
  return bodyLimit({
    maxSize,
    onError: () => {
      throw new ApiError(413, `The request body is larger than the ${maxSize} bytes this server accepts`);
    },
  });
}
