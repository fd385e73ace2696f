/** The production topology from nothing to a finished job, as `docker compose up` would bring it up. */
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection, isGrpcServiceError, type TLSConfig } from '@temporalio/client';
import postgres from 'postgres';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { searchAttributes } from '../../../temporal/search-attributes.ts';
import { buildBusybox } from '../../ground/images.ts';
import { Rest } from '../../ground/rest.ts';
import { shellJob } from '../../ground/running-stack.ts';
import { repository } from './compose-file.ts';
import { createTopology, untilHealthy, type Topology } from './topology.ts';

let topology: Topology;
beforeAll(async () => {
  topology = await createTopology();
});
afterAll(() => topology?.destroy());
afterEach(({ task }) => {
  if (task.result?.state === 'fail') console.error(topology.output());
});

/** One after the other: each step stands on the one before. */
describe('the services of docker-compose.yml', () => {
  test('database-roles gives Temporal and us databases that the other can not read, also those of before', async () => {
    // As an installation of before has them: made by the administrator.
    await query('prominence', "create type kind as enum ('a'); create table kept (id serial primary key, kind kind)");
    await topology.runOneShot('database-roles');
    await topology.runOneShot('database-roles');
    const [ours, theirs] = [roleUrl('api', 'prominence'), roleUrl('temporal-schema', 'temporal')];
    expect(await queryAs(ours, "insert into kept (kind) values ('a') returning id")).toEqual([{ id: 1 }]);
    await queryAs(ours, "alter type kind add value 'b'");
    await queryAs(ours, 'drop table kept; drop type kind');
    for (const role of [ours, theirs]) {
      const [is] = await queryAs(
        role,
        'select rolsuper, rolcreatedb, rolcreaterole from pg_roles where rolname = user',
      );
      expect(is).toEqual({ rolsuper: false, rolcreatedb: false, rolcreaterole: false });
    }
    for (const [role, database] of [
      [ours, 'temporal'],
      [ours, 'temporal_visibility'],
      [theirs, 'prominence'],
    ]) {
      const url = new URL(role!);
      url.pathname = `/${database}`;
      await expect(queryAs(url.href, 'select 1')).rejects.toThrow(/permission denied for database/);
    }
  });

  test('temporal-certificates makes certificates once', async () => {
    await topology.runOneShot('temporal-certificates');
    const all = () => ['ca/ca', 'server/server', 'client/client'].map((each) => pem(`${each}.crt`));
    const first = all();
    await topology.runOneShot('temporal-certificates');
    expect(all()).toEqual(first);
    const authority = new X509Certificate(first[0]!);
    for (const certificate of first.slice(1)) {
      expect(new X509Certificate(certificate).checkIssued(authority)).toBe(true);
    }
    expect(new X509Certificate(first[1]!).checkHost('temporal')).toBe('temporal');
    for (const folder of ['server', 'client']) expect(pem(`${folder}/ca.crt`)).toEqual(first[0]);
  });

  test('temporal-schema makes the tables of both databases, and changes nothing when it runs again', async () => {
    await topology.runOneShot('temporal-schema');
    const versions = await schemaVersions();
    expect(versions.map(({ database }) => database)).toEqual(['temporal', 'temporal_visibility']);
    await topology.runOneShot('temporal-schema');
    expect(await schemaVersions()).toEqual(versions);
  });

  test('temporal serves with 512 shards, and temporal-namespace waits for it', async () => {
    const namespaceMade = topology.runOneShot('temporal-namespace');
    await topology.start('temporal');
    await namespaceMade;
    await topology.runOneShot('temporal-namespace');
    const { client, close } = await temporalClient();
    const { namespaceInfo, config } = await client.workflowService.describeNamespace({ namespace: 'prominence' });
    expect(namespaceInfo?.name).toBe('prominence');
    expect(Number(config?.workflowExecutionRetentionTtl?.seconds)).toBe(72 * 3600);
    const { customAttributes } = await client.connection.operatorService.listSearchAttributes({
      namespace: 'prominence',
    });
    expect(Object.keys(customAttributes ?? {})).toEqual(expect.arrayContaining(Object.keys(searchAttributes)));
    expect((await client.workflowService.getClusterInfo({})).historyShardCount).toBe(512);
    await close();
  });

  test('no port of temporal answers whom it has not given a certificate', async () => {
    const ports = topology.ports('temporal');
    const [grpc] = [Number(topology.temporalAddress.split(':')[1])];
    expect(ports).toContain(grpc);
    const stranger = mkdtempSync(join(tmpdir(), 'prominence-stranger-'));
    const [ca, server, client] = ['ca', 'server', 'client'].map((each) => join(stranger, each));
    for (const each of [ca, server, client]) mkdirSync(each!);
    const folders = { CA_FOLDER: ca, SERVER_FOLDER: server, CLIENT_FOLDER: client };
    execFileSync('sh', [`${repository}/deploy/temporal-certificates.sh`], { env: { ...process.env, ...folders } });
    const [crt, key] = ['client.crt', 'client.key'].map((each) => readFileSync(join(client!, each)));
    const own = { crt: crt!, key: key! };
    rmSync(stranger, { recursive: true });
    const trusting = { serverNameOverride: 'temporal', serverRootCACertificate: pem('client/ca.crt') };
    const ask = async (port: number, tls: TLSConfig | undefined) => {
      const address = `127.0.0.1:${port}`;
      const connection = Connection.lazy({ address, connectTimeout: '3s', ...(tls ? { tls } : {}) });
      try {
        await connection.withDeadline(Date.now() + 5000, () => connection.healthService.check({}));
        return 'answered';
      } catch (error) {
        return isGrpcServiceError(error) && error.code !== 14 && error.code !== 4
          ? `answered ${error.code}`
          : 'refused';
      } finally {
        await connection.close();
      }
    };
    const ours = { crt: pem('client/client.crt'), key: pem('client/client.key') };
    expect(await ask(grpc, { ...trusting, clientCertPair: ours })).toBe('answered');
    // Who is refused waits for its time: all at once.
    const strangers = [undefined, trusting, { ...trusting, clientCertPair: own }];
    await Promise.all(
      ports.flatMap((port) =>
        strangers.map(async (tls) => {
          expect(await ask(port, tls), `${port}`).toBe('refused');
          expect(await httpStatus(port, tls), `${port}`).toBeUndefined();
        }),
      ),
    );
    const statuses = await Promise.all(ports.map((port) => httpStatus(port, { ...trusting, clientCertPair: ours })));
    // The HTTP port of the frontend is one of them, and answers us.
    expect(statuses).toContain(200);
  });

  test('api takes a submit while no worker runs, and the workers finish it', async () => {
    await topology.start('api');
    await untilHealthy(topology, 'api');
    const rest = await restOf('ann');
    await rest.upload('busybox.tar', readFileSync((await buildBusybox()).archive));
    const early = await rest.submit(shellJob('echo early'));
    for (const worker of ['worker-workflows', 'worker-hosts']) await topology.start(worker);
    for (const worker of ['worker-workflows', 'worker-hosts']) await untilHealthy(topology, worker);
    const later = await rest.submit(shellJob('echo later; cat /etc/hostname >/dev/null; exit 3'));
    expect((await rest.ended(early, 120)).status).toBe('completed');
    expect(await rest.output(early)).toBe('early\n');
    const job = await rest.ended(later, 120);
    expect([job.status, job.execution.tasks[0]?.exitCode]).toEqual(['completed', 3]);
    expect(await rest.output(later)).toBe('later\n');
  });

  test('a worker that is gone is not healthy, and another one goes on', async () => {
    await topology.stop('worker-workflows');
    await expect(topology.isHealthy('worker-workflows')).rejects.toThrow(/worker-workflows ended with 0/);
    const rest = await restOf('ann');
    const id = await rest.submit(shellJob('echo again'));
    await topology.start('worker-workflows');
    expect((await rest.ended(id, 120)).status).toBe('completed');
  });

  test('api ends in order when it is told to', async () => {
    await topology.stop('api');
    await expect(topology.isHealthy('api')).rejects.toThrow(/api ended with 0/);
  });
});

async function restOf(username: string): Promise<Rest> {
  // As deploy/README.md has it.
  const said = await topology.exec('api', ['node', 'bin/prominence.mjs', 'token', '--user', username]);
  return new Rest(topology.apiUrl, said.trim().split('\n').at(-1)!);
}

async function temporalClient(): Promise<{ client: Client; close: () => Promise<void> }> {
  const clientCertPair = { crt: pem('client/client.crt'), key: pem('client/client.key') };
  const tls = { serverNameOverride: 'temporal', serverRootCACertificate: pem('client/ca.crt'), clientCertPair };
  const connection = await Connection.connect({ address: topology.temporalAddress, tls });
  return { client: new Client({ connection, namespace: 'prominence' }), close: () => connection.close() };
}

const pem = (file: string): Buffer => readFileSync(join(topology.tls, file));

/** The status that the port answers `GET /api/v1/cluster-info` with; undefined where it is no answer of HTTP. */
function httpStatus(port: number, tls: TLSConfig | undefined): Promise<number | undefined> {
  const path = '/api/v1/cluster-info';
  const options = { host: '127.0.0.1', port, path, timeout: 3000 };
  return new Promise((resolve) => {
    const asked = tls
      ? https.get({
          ...options,
          servername: 'temporal',
          ca: Buffer.from(tls.serverRootCACertificate!),
          ...(tls.clientCertPair
            ? { cert: Buffer.from(tls.clientCertPair.crt), key: Buffer.from(tls.clientCertPair.key) }
            : {}),
        })
      : http.get(options);
    asked.on('response', (response) => {
      response.resume();
      // Go's server says so to who speaks without TLS.
      resolve(!tls && response.statusCode === 400 ? undefined : response.statusCode);
    });
    asked.on('error', () => resolve(undefined)).on('timeout', () => asked.destroy());
  });
}

/** Of a service's role in the database, as docker-compose.yml has it. */
function roleUrl(service: 'api' | 'temporal-schema', database: string): string {
  const url = new URL(topology.databaseUrl);
  url.pathname = `/${database}`;
  const [name, password] =
    service === 'api'
      ? ['prominence_service', 'production-test-our-password']
      : ['temporal', 'production-test-password-of-temporal'];
  return Object.assign(url, { username: name, password }).href;
}

function query(database: string, text: string): Promise<Record<string, unknown>[]> {
  const url = new URL(topology.databaseUrl);
  url.pathname = `/${database}`;
  return queryAs(url.href, text);
}

async function queryAs(url: string, text: string): Promise<Record<string, unknown>[]> {
  const sql = postgres(url, { max: 1, onnotice: () => undefined });
  try {
    return await sql.unsafe(text);
  } finally {
    await sql.end();
  }
}

async function schemaVersions(): Promise<{ database: string; version: unknown }[]> {
  return Promise.all(
    ['temporal', 'temporal_visibility'].map(async (database) => ({
      database,
      version: (await query(database, 'select curr_version from schema_version'))[0]?.['curr_version'],
    })),
  );
}
