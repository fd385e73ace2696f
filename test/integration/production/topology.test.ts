/** The production topology from nothing to a finished job, as `docker compose up` would bring it up. */
import { readFileSync } from 'node:fs';
import { Client, Connection } from '@temporalio/client';
import postgres from 'postgres';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { searchAttributes } from '../../../temporal/search-attributes.ts';
import { buildBusybox } from '../../ground/images.ts';
import { Rest } from '../../ground/rest.ts';
import { shellJob } from '../../ground/running-stack.ts';
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
  test('temporal-schema makes both databases, and changes nothing when it runs again', async () => {
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
  const connection = await Connection.connect({ address: topology.temporalAddress });
  return { client: new Client({ connection, namespace: 'prominence' }), close: () => connection.close() };
}

async function query(database: string, text: string): Promise<Record<string, unknown>[]> {
  const url = new URL(topology.databaseUrl);
  url.pathname = `/${database}`;
  const sql = postgres(url.href, { max: 1 });
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
