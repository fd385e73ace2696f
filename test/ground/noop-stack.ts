/** A stack for jobs of the `benchmark` runtime: one local site with room for many at once. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runningStack, type RunningStack, type StackSettings } from './running-stack.ts';

/** More than the cores: what is measured and tested is the engine, not the waiting. */
export const jobsAtOnce = 64;

export async function noopStack(settings: StackSettings = {}): Promise<RunningStack> {
  const workDirectory = mkdtempSync(join(tmpdir(), 'prominence-test-'));
  chmodSync(workDirectory, 0o755);
  const site = { type: 'local' as const, name: 'local', cpus: jobsAtOnce, memoryGb: 1000, diskGb: 1000 };
  const running = await runningStack({
    sites: [{ ...site, workDirectory: join(workDirectory, 'site') }],
    execution: { benchmarkRuntime: true },
    ...settings,
  });
  const stop = async () => {
    await running.stop();
    rmSync(workDirectory, { recursive: true, force: true });
  };
  return { ...running, stop };
}

/** A job that runs nothing; `cmd` as in domain/benchmark.ts. */
export function noopJob(name: string, cmd = '', more: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    name,
    resources: { nodes: 1, cpus: 1, memory: 1, disk: 1 },
    tasks: [{ image: 'none', runtime: 'benchmark', ...(cmd === '' ? {} : { cmd }) }],
    ...more,
  };
}
