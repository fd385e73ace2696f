/** A registry that is down, or that cuts what it sends, on the whole stack. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startCuttingRegistry, type CuttingRegistry } from '../../ground/cutting-registry.ts';
import { buildBusybox } from '../../ground/images.ts';
import { startRegistry, type TestRegistry } from '../../ground/registry.ts';
import { eventually, type Rest } from '../../ground/rest.ts';
import { runningStack, shellJob, type RunningStack } from '../../ground/running-stack.ts';

let registry: TestRegistry;
let cutting: CuttingRegistry;
let running: RunningStack;
let rest: Rest;

beforeAll(async () => {
  registry = await startRegistry({ address: '127.0.0.1' });
  cutting = await startCuttingRegistry(registry.host);
  running = await runningStack({ execution: { insecureRegistries: [cutting.host, '127.0.0.1:1'] } });
  rest = running.rest;
});
afterAll(async () => {
  await running?.stop();
  await cutting?.close();
  await registry?.stop();
});

const push = async (name: string) => {
  await registry.push(await buildBusybox(), name);
  return `${cutting.host}/${name}`;
};

describe.each(['singularity', 'udocker'])('for %s', (runtime) => {
  const job = (image: string) => shellJob('', { tasks: [{ image, runtime, cmd: 'echo ran' }] });
  const failed = { status: 'failed', statusReason: 'Container image pull failed' };

  it('a registry that cuts what it sends fails the job with the reason, after tries with growing pauses', async () => {
    cutting.cuts = true;
    cutting.cut.length = 0;
    const id = await rest.submit(job(await push(`test/cut-${runtime}`)));
    const ended = await rest.ended(id, 120);
    expect(ended).toMatchObject({ ...failed, execution: { tasks: [{ imagePullStatus: 'failed' }] } });
    expect(ended.statusDetail).toMatch(/EOF|closed|reset|IncompleteRead/i);
    const pauses = cutting.cut.slice(1).map((at, index) => at - cutting.cut[index]!);
    expect(pauses.length).toBeGreaterThanOrEqual(2);
    expect(Math.max(...pauses)).toBeGreaterThan(1500);
  });

  it('a registry that recovers delays the job only', async () => {
    cutting.cuts = true;
    cutting.cut.length = 0;
    const id = await rest.submit(job(await push(`test/recovers-${runtime}`)));
    await eventually(
      () => Promise.resolve(cutting.cut.length > 0 ? true : undefined),
      () => 'the image was never asked for',
    );
    cutting.cuts = false;
    expect(await rest.ended(id, 120)).toMatchObject({ status: 'completed' });
    expect(await rest.output(id)).toBe('ran\n');
  });

  it('a registry that is down fails the job with the reason', async () => {
    const ended = await rest.ended(await rest.submit(job('127.0.0.1:1/test/none')), 120);
    expect(ended).toMatchObject({ ...failed, statusDetail: expect.stringMatching(/refused/) as string });
  });
});
