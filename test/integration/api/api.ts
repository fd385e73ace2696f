/** The API on a real database and the local object store, spoken to as a client would, without a socket. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import * as v from 'valibot';
import { expect } from 'vitest';
import { createApi, type ApiDependencies } from '../../../api/app.ts';
import { barList, type BarList } from '../../../api/auth/bars.ts';
import { issueToken } from '../../../api/auth/tokens.ts';
import { quotas } from '../../../config/config.ts';
import { putRules } from '../../../api/put-rules.ts';
import { objectRoutes } from '../../../api/routes/objects.ts';
import { connect, type Connection } from '../../../db/connection.ts';
import { migrateDatabase } from '../../../db/migrate.ts';
import { payloadCodec } from '../../../temporal/codec.ts';
import { sealing } from '../../../secrets/sealing.ts';
import { createLocalStore, type LocalStore } from '../../../storage/local.ts';
import { startPostgres, type TestPostgres } from './postgres.ts';

export const signingKey = 'a key for tests that is long enough to be one';

/** As they are where a configuration tells nothing. */
const usualQuotas = v.parse(quotas, {});

export interface Answer {
  status: number;
  headers: Headers;
  text: string;
  // What it is differs between routes, and tests look into it.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  json: any;
}

export interface Client {
  get(path: string, headers?: Record<string, string>): Promise<Answer>;
  post(path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  put(path: string): Promise<Answer>;
  delete(path: string): Promise<Answer>;
  request(method: string, path: string, init?: RequestInit): Promise<Answer>;
}

export interface TestApi {
  app: ReturnType<typeof createApi>;
  postgres: TestPostgres;
  connection: Connection;
  store: LocalStore;
  wakeUps: () => number;
  as(username: string, ...groups: string[]): Promise<Client>;
  anonymous: Client;
  /** For another process of the API. */
  dependencies: ApiDependencies;
  otherBars: () => BarList;
  authorization(username: string): Promise<string>;
  close(): Promise<void>;
}

export async function startApi(
  options: {
    issuers?: ApiDependencies['config']['auth']['issuers'];
    login?: ApiDependencies['config']['login'];
    secretsKeys?: string[];
    maxBodyBytes?: number;
    maximumJobsPerWorkflow?: number;
    delegationDays?: number;
    /** At the signed URLs. */
    servesObjects?: true;
    quotas?: Partial<ApiDependencies['config']['quotas']>;
    answerWithinMs?: number;
    statementTimeoutMs?: number;
    notifications?: ApiDependencies['config']['notifications'];
  } = {},
): Promise<TestApi> {
  const postgres = await startPostgres();
  await migrateDatabase(postgres.url);
  const { statementTimeoutMs } = options;
  const connection = connect(postgres.url, { poolSize: 8, ...(statementTimeoutMs ? { statementTimeoutMs } : {}) });
  const directory = mkdtempSync(join(tmpdir(), 'prominence-objects-'));
  const store = createLocalStore({ directory, publicUrl: 'http://localhost', signingKey });
  await store.ensureReady();
  const bars = barList(connection.db);
  let wakeUps = 0;
  const dependencies: ApiDependencies = {
    config: {
      auth: {
        signingKey,
        issuers: options.issuers ?? [],
        operatorGroups: ['operators'],
        delegationDays: options.delegationDays ?? 7,
      },
      quotas: { ...usualQuotas, ...options.quotas },
      temporal: { uiOrigin: 'http://temporal.example' },
      ...(options.login ? { login: options.login } : {}),
      api: { maxBodyBytes: options.maxBodyBytes ?? 1_000_000, publicUrl: 'http://localhost' },
      execution: {
        benchmarkRuntime: false,
        maximumJobsPerWorkflow: options.maximumJobsPerWorkflow ?? 200_000,
        imageDirectories: [],
      },
      notifications: options.notifications ?? { webhooks: { allowPrivateAddresses: false } },
    },
    db: connection.db,
    bars,
    ...(options.servesObjects ? { objects: objectRoutes(store, putRules(connection.db, bars)) } : {}),
    store,
    sealing: sealing(options.secretsKeys ?? []),
    codec: payloadCodec(options.secretsKeys ?? [], { acceptUnencrypted: true }),
    ...(options.answerWithinMs ? { answerWithinMs: options.answerWithinMs } : {}),
    wakeOutbox: () => (wakeUps += 1),
    log: pino({ level: process.env['TEST_LOG'] ?? 'silent' }),
  };
  const app = createApi(dependencies);
  return {
    app,
    postgres,
    connection,
    store,
    wakeUps: () => wakeUps,
    dependencies,
    otherBars: () => barList(connection.db),
    authorization: async (username) => `Bearer ${await issueToken(signingKey, { username, expiresSeconds: 3600 })}`,
    async as(username, ...groups) {
      const token = await issueToken(signingKey, { username, groups, expiresSeconds: 3600 });
      return clientOf(app, { Authorization: `Bearer ${token}` });
    },
    anonymous: clientOf(app, {}),
    async close() {
      await connection.close();
      await postgres.destroy();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

export function clientOf(app: TestApi['app'], authorization: Record<string, string>): Client {
  const request = async (method: string, path: string, init: RequestInit = {}): Promise<Answer> => {
    const address = path.startsWith('//') ? path.slice(1) : `/v1${path}`;
    const headers = { ...authorization, ...(init.headers as Record<string, string>) };
    const response = await app.request(address, { ...init, method, headers });
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.includes('json');
    return {
      status: response.status,
      headers: response.headers,
      text,
      json: isJson && text !== '' ? JSON.parse(text) : undefined,
    };
  };
  return {
    request,
    get: (path, headers = {}) => request('GET', path, { headers }),
    post: (path, body, headers = {}) =>
      request('POST', path, {
        ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
        headers: { 'Content-Type': 'application/json', ...headers },
      }),
    put: (path) => request('PUT', path),
    delete: (path) => request('DELETE', path),
  };
}

/** The smallest job; `changes` replace members at the top. */
export function job(changes: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    resources: { nodes: 1, cpus: 1, memory: 1, disk: 10 },
    tasks: [{ image: 'busybox', runtime: 'singularity', cmd: 'date' }],
    ...changes,
  };
}

export async function createJob(client: Client, changes: Record<string, unknown> = {}): Promise<number> {
  const answer = await client.post('/jobs', job(changes));
  expect(answer).toMatchObject({ status: 201, json: { id: expect.any(Number) } });
  return answer.json.id as number;
}

/** Of what a list has, in its order. */
export async function idsOf(client: Client, path: string): Promise<number[]> {
  const { status, json } = await client.get(path);
  expect(status).toBe(200);
  return (json as { id: number }[]).map(({ id }) => id);
}

/** Puts a job into the state it would have after running. */
export async function finish(
  connection: Connection,
  id: number,
  status: 'completed' | 'failed' | 'deleted' | 'killed' = 'completed',
): Promise<void> {
  await connection.sql`
    update jobs set status = ${status}, started_at = coalesce(started_at, now()), ended_at = now(),
      in_queue = leave_in_queue where id = ${id}`;
}
