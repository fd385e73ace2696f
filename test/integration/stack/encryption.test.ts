/** What a database or a Temporal server of ours gives away: nothing of what jobs are, while they run as ever. */
import { Client, Connection } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadConfig } from '../../../config/load.ts';
import type { JobResult, JobView } from '../../../domain/job-messages.ts';
import { taskQueues } from '../../../domain/queues.ts';
import { findTemporalCli } from '../../../scripts/components/temporal-cli.ts';
import { runOrThrow } from '../../../scripts/command.ts';
import { thisMachine } from '../../../scripts/machine.ts';
import { payloadCodec } from '../../../temporal/codec.ts';
import { dataConverter } from '../../../temporal/data-converter.ts';
import { buildBusybox } from '../../ground/images.ts';
import { startRegistry, type TestRegistry } from '../../ground/registry.ts';
import { runningStack, shellJob, type RunningStack } from '../../ground/running-stack.ts';

const password = 'hush-do-not-tell';
let registry: TestRegistry;
let image: string;
let running: RunningStack;
let connection: Connection;
beforeAll(async () => {
  registry = await startRegistry({ address: '127.0.0.1', credentials: { username: 'puller', password } });
  image = await registry.push(await buildBusybox(), 'private/busybox');
  running = await runningStack({
    auth: { signingKey: 'a signing key of this test, long enough', operatorGroups: ['operators'] },
    execution: { insecureRegistries: [registry.host] },
  });
  connection = await Connection.connect({ address: running.stack.temporalAddress });
});
afterAll(async () => {
  await connection?.close();
  await running?.stop();
  await registry?.stop();
});

const keys = () => loadConfig({ file: running.stack.configFile, env: {} }).secrets.keys;
/** Bytes are in base64 in the JSON of Temporal. */
const bytesIn = (json: string): string =>
  [...json.matchAll(/"(?:data|encoding)": ?"([^"]*)"/g)].map(([, text]) => Buffer.from(text!, 'base64')).join('\n');

const described = (line: string) =>
  shellJob('', {
    tasks: [
      {
        image,
        runtime: 'singularity',
        cmd: `/bin/sh -c '${line}'`,
        imagePullCredential: { username: 'puller', token: password },
      },
    ],
  });

describe('an installation with a key', () => {
  it('runs a job whose image needs a password that the database does not tell', async () => {
    const id = await running.rest.submit(described('echo opened'));
    expect(await running.rest.ended(id, 120)).toMatchObject({ status: 'completed' });
    expect(await running.rest.output(id)).toBe('opened\n');
  });

  it('runs jobs of SDK clients that have the key, and what Temporal keeps of them is ciphertext', async () => {
    const knowing = new Client({ connection, dataConverter: dataConverter(keys()) });
    const args = [{ description: described('echo by-sdk'), owner: 'ann' }];
    const start = { taskQueue: taskQueues.workflows, args };
    const handle = await knowing.workflow.start('jobWorkflow', { workflowId: 'knowing', ...start });
    expect((await handle.result()) as JobResult).toMatchObject({ status: 'completed' });
    expect(await handle.query<JobView>('describe')).toMatchObject({ phase: 'finished' });
    const kept = bytesIn(JSON.stringify(await handle.fetchHistory()));
    expect(kept).toContain('binary/encrypted');
    expect(kept).not.toMatch(/hush-do-not-tell|by-sdk|completed"/);
  });

  it('keeps what failures say from whoever reads its histories, and tells it to who has the key', async () => {
    const refused = { name: 'hush@not a name', resources: {}, tasks: [] };
    const start = { taskQueue: taskQueues.workflows, args: [{ description: refused, owner: 'ann' }] };
    const knowing = new Client({ connection, dataConverter: dataConverter(keys()) });
    const handle = await knowing.workflow.start('jobWorkflow', { workflowId: 'refused', ...start });
    await expect(handle.result()).rejects.toMatchObject({ cause: { message: 'invalid job name' } });
    const history = JSON.stringify(await handle.fetchHistory());
    expect(history).toContain('Encoded failure');
    expect(history).toContain('InvalidDescription');
    expect(`${history}${bytesIn(history)}`).not.toMatch(/invalid job name|records\.ts/);
    const stranger = new Client({ connection }).workflow.getHandle('refused');
    await expect(stranger.result()).rejects.not.toMatchObject({ cause: { message: 'invalid job name' } });
  });

  it("shows an operator its histories through Temporal's own tools", async () => {
    const show = async (groups: string[]) => {
      const token = await running.stack.token('otto', groups);
      const { stack } = running;
      const codec = ['--codec-endpoint', `${stack.apiUrl}/codec`, '--codec-auth', `Bearer ${token}`];
      const place = ['--address', stack.temporalAddress, '--workflow-id', 'knowing', '--output', 'json'];
      const program = findTemporalCli(thisMachine())!.path;
      const { stdout } = await runOrThrow(program, ['workflow', 'show', ...place, ...codec]);
      return bytesIn(stdout);
    };
    expect(await show(['operators'])).toMatch(/by-sdk/);
    await expect(show(['lab'])).rejects.toThrow();
  });

  it('shows them in the web UI, to a browser that an operator has let', async () => {
    const { stack } = running;
    const settings = (await (await fetch(`${stack.temporalUiUrl}/api/v1/settings`)).json()) as {
      Codec: { Endpoint: string };
    };
    expect(settings.Codec.Endpoint).toBe(`${stack.apiUrl}/codec`);
    const token = await stack.token('otto', ['operators']);
    const session = await fetch(`${stack.apiUrl}/codec/session/open`, {
      method: 'POST',
      body: new URLSearchParams({ token }),
    });
    const cookie = session.headers.getSetCookie()[0]!.split(';')[0]!;
    // The UI sends payloads as its server gives them.
    const address = `${stack.temporalUiUrl}/api/v1/namespaces/default/workflows/knowing/history`;
    const { history } = (await (await fetch(address)).json()) as {
      history: { events: { workflowExecutionStartedEventAttributes?: { input: { payloads: unknown[] } } }[] };
    };
    const payloads = history.events[0]!.workflowExecutionStartedEventAttributes!.input.payloads;
    const decoded = await fetch(`${settings.Codec.Endpoint}/decode`, {
      method: 'POST',
      headers: { origin: stack.temporalUiUrl, cookie, 'content-type': 'application/json', 'x-namespace': 'default' },
      body: JSON.stringify({ payloads }),
    });
    expect(decoded.headers.get('access-control-allow-origin')).toBe(stack.temporalUiUrl);
    expect(decoded.headers.get('access-control-allow-credentials')).toBe('true');
    expect(bytesIn(await decoded.text())).toContain('by-sdk');
  });

  it('costs a job little', async () => {
    const history = await new Client({ connection }).workflow.getHandle('job-1').fetchHistory();
    const encrypted = payloadCodec(keys());
    const sample = Array.from({ length: 1000 }, (_, i) =>
      defaultPayloadConverter.toPayload({ jobId: i, text: 'x'.repeat(300) }),
    );
    // Of the processor: what else the machine does is no cost of ours.
    const cost = async <T>(work: () => Promise<T>): Promise<[T, number]> => {
      const before = process.cpuUsage();
      const result = await work();
      const { user, system } = process.cpuUsage(before);
      return [result, (user + system) / sample.length];
    };
    const [encoded, encode] = await cost(() => encrypted.encode(sample));
    const [, decode] = await cost(() => encrypted.decode(encoded));
    const bytes = (payloads: typeof sample) => payloads.reduce((sum, { data }) => sum + (data?.length ?? 0), 0);
    const overhead = (bytes(encoded) - bytes(sample)) / sample.length;
    console.log(
      `a payload: ${encode.toFixed(1)} us to encode, ${decode.toFixed(1)} us to decode, ${overhead.toFixed(0)} bytes more; ` +
        `${history.events?.length} events in the history of a job`,
    );
    // A job has some twenty payloads; its start alone takes tens of milliseconds.
    expect(encode).toBeLessThan(500);
    expect(decode).toBeLessThan(500);
    expect(overhead).toBeLessThan(100);
  });
});
