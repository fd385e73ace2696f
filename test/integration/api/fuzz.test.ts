/** Schemathesis sends whatever the OpenAPI document allows, and much that it does not, and judges the answers by it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { getRequestListener } from '@hono/node-server';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { jobTokenSigner } from '../../../activities/job-token.ts';
import { issueToken } from '../../../api/auth/tokens.ts';
import { appendCallOutput, claimCall, endCall } from '../../../db/job-calls.ts';
import type { CallResult } from '../../../domain/call-messages.ts';
import { testComponents } from '../../../scripts/components/test-components.ts';
import { run } from '../../../scripts/command.ts';
import { thisMachine } from '../../../scripts/machine.ts';
import { startOidcIssuer, type OidcIssuer } from '../../ground/oidc-issuer.ts';
import { finish, job, signingKey, startApi, type TestApi } from './api.ts';

/** Of fuzzing; starting and stopping add some ten. */
const seconds = 60;

let api: TestApi;
let server: Server;
let issuer: OidcIssuer;
let url: string;
let folder: string;
beforeAll(async () => {
  issuer = await startOidcIssuer(() => ({}));
  const claims = { owner: 'sub', groups: 'groups', email: 'email', entitlements: 'entitlements' };
  api = await startApi({
    secretsKeys: ['a key of this test that is long enough'],
    issuers: [{ issuer: issuer.url, audience: 'any', verify: 'jwks', claims }],
    login: { issuer: issuer.url },
  });
  server = createServer((request, response) => void getRequestListener(api.app.fetch)(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  folder = mkdtempSync(join(tmpdir(), 'prominence-fuzz-'));
});
afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await api.close();
  await issuer.stop();
  rmSync(folder, { recursive: true, force: true });
});

/**
 * What the document promises. It does not that everything it allows is accepted, and nothing else; nor what `Allow` says of
 * names that are routes of their own among uploads, such as `/data/upload`.
 */
const checks = [
  'not_a_server_error',
  'status_code_conformance',
  'content_type_conformance',
  'response_headers_conformance',
  'response_schema_conformance',
  'unsupported_method',
  'ignored_auth',
];

/** Answers what is asked of running jobs, as a worker would, until it is told to stop. */
async function work(stop: AbortSignal): Promise<void> {
  const { db, sql } = api.connection;
  while (!stop.aborted) {
    const open = await sql`select id, request->>'kind' as kind from job_calls where ended_at is null`;
    for (const { id, kind } of open as unknown as { id: string; kind: 'exec' | 'snapshot' }[]) {
      if (!(await claimCall(db, id))) continue;
      await appendCallOutput(db, id, 1, Buffer.from('zwei ☃\n'));
      const result = {
        exec: { kind: 'ended', exitCode: 2, cause: 'exited' },
        snapshot: { kind: 'uploaded', sizeBytes: 9 },
      };
      await endCall(db, id, result[kind] as CallResult);
    }
    await pause(20);
  }
}

/** @returns how many requests there were */
async function fuzz(token: string, only?: { paths: string; id: number }): Promise<number> {
  const component = testComponents(thisMachine()).find(({ name }) => name === 'schemathesis');
  const found = await component?.find();
  if (!found) throw new Error('schemathesis is not set up: run npm run setup -- --tests');
  const config = join(folder, `${only ? 'some' : 'all'}.toml`);
  writeFileSync(config, only ? `[parameters]\nid = ${only.id}\n` : '');
  const options = [
    ...['--config-file', config],
    ...['run', `${url}/openapi.json`, '--header', `Authorization: Bearer ${token}`, '--checks', checks.join(',')],
    // One worker: threads that parse Python at once make CPython 3.11 fail (gh-106905).
    ...['--max-time', String(seconds), '--max-examples', '40', '--workers', '1', '--request-timeout', '20'],
    ...['--suppress-health-check', 'all', '--generation-database', 'none', '--continue-on-failure', '--no-color'],
    // A failure must be there again when it is looked for.
    ...['--seed', '1', '--warnings', 'off'],
    ...(only ? ['--include-path-regex', only.paths] : []),
  ];
  const env = { PATH: '/usr/bin:/bin', HOME: folder, LANG: 'C.UTF-8' };
  const timeoutMs = (seconds + 240) * 1000;
  const { code, stdout, stderr } = await run(found.path, options, { env, cwd: folder, timeoutMs });
  expect(code, `${stdout}\n${stderr}`).toBe(0);
  return Number(/(\d+) generated/.exec(stdout)?.[1]);
}

test(
  'no answer is a fault, and none contradicts the document',
  async () => {
    const subject = { username: 'fuzz', groups: ['lab', 'operators'], expiresSeconds: 3600 };
    const token = await issueToken(signingKey, subject);
    // Something to be found: ids are small numbers here.
    const client = await api.as('fuzz');
    const ids: number[] = [];
    for (let count = 0; count < 4; count += 1) {
      const { id } = (await client.post('/jobs', job({ outputFiles: ['out'], policies: { leaveInQueue: true } }))).json;
      if (count % 2 === 0) await finish(api.connection, id);
      ids.push(id as number);
    }
    const running = ids[1]!;
    await api.connection.sql`update jobs set status = 'running', attempt = 1, started_at = now() where id = ${running}`;
    await client.post('/workflows', {
      name: 'w',
      jobs: [job({ name: 'a' }), job({ name: 'b' })],
      dependencies: { a: ['b'] },
    });

    const ofJob = { username: 'fuzz', groups: ['lab'], job: running, attempt: 1 };
    const jobToken = await jobTokenSigner(signingKey)(ofJob, 3600);
    const stop = new AbortController();
    const worker = work(stop.signal);
    try {
      const [all, ofJobs] = await Promise.all([
        fuzz(token),
        // What is only for jobs, and what is asked of a running one: its id would be guessed too seldom.
        fuzz(jobToken, { paths: '^/v1/(ts|data/output|token|jobs/\\{id\\}/(exec|snapshot))', id: running }),
      ]);
      // How many fit into the time is the machine's matter: that it really asked is ours.
      expect(all).toBeGreaterThan(100);
      expect(ofJobs).toBeGreaterThan(20);
    } finally {
      stop.abort();
      await worker;
    }
  },
  (seconds + 300) * 1000,
);
