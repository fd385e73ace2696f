import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { beforeAll, describe, expect, it } from 'vitest';

const folder = new URL('./histories/', import.meta.url);
const names = readdirSync(folder).filter((name) => name.endsWith('.json'));
const workflowsPath = fileURLToPath(new URL('../../workflows/index.ts', import.meta.url));
const interceptorsPath = fileURLToPath(new URL('../../workflows/interceptors.ts', import.meta.url));
const interceptors = { workflowModules: [interceptorsPath] };

beforeAll(() => {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
});

describe('recorded histories', () => {
  it('exist for every workflow type', () => {
    const exported = [...readFileSync(workflowsPath, 'utf8').matchAll(/export \{ (\w+)Workflow \}/g)].map(
      (match) => match[1]!,
    );
    expect(exported.length).toBeGreaterThan(0);
    for (const type of exported)
      expect(
        names.some((name) => name.startsWith(`${type}-`)),
        type,
      ).toBe(true);
  });

  it('are replayed by the workflows of today without a difference', async () => {
    const histories = names.map((name) => ({
      workflowId: name,
      history: JSON.parse(readFileSync(new URL(name, folder), 'utf8')) as unknown,
    }));
    const replayed: string[] = [];
    for await (const result of Worker.runReplayHistories({ workflowsPath, interceptors }, histories)) {
      expect(result.error, result.workflowId).toBeUndefined();
      replayed.push(result.workflowId);
    }
    expect(replayed.sort()).toEqual([...names].sort());
  }, 60_000);
});
