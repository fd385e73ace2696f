/** An embedded stack in a folder of its own, with a busybox image uploaded as `busybox.tar`. */
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { startStack, type Stack } from '../../scripts/stack/stack.ts';
import { buildBusybox } from './images.ts';
import { Rest } from './rest.ts';

export interface RunningStack {
  stack: Stack;
  /** As user `ann` of group `science`. */
  rest: Rest;
  as(user: string, groups?: string[]): Promise<Rest>;
  stop(): Promise<void>;
}

export type StackSettings = NonNullable<Parameters<typeof startStack>[0]>['settings'];

/** @param network `host`: jobs reach what a test serves on this machine */
export async function runningStack(
  given: StackSettings = {},
  { network }: { network?: 'host' } = {},
): Promise<RunningStack> {
  const home = mkdtempSync(join(tmpdir(), 'prominence-test-'));
  chmodSync(home, 0o755);
  const site = { type: 'local' as const, name: 'local', workDirectory: join(home, 'site') };
  const settings = network ? { ...given, sites: [{ ...site, network }] } : given;
  const stack = await startStack({ home, settings });
  const as = async (user: string, groups: string[] = []) => new Rest(stack.apiUrl, await stack.token(user, groups));
  const stop = async () => {
    await stack.stop();
    rmSync(home, { recursive: true, force: true });
  };
  try {
    const rest = await as('ann', ['science']);
    await rest.upload('busybox.tar', readFileSync((await buildBusybox()).archive));
    return { stack, rest, as, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** A job of one shell line in busybox. */
export function shellJob(line: string, more: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    name: 'test',
    resources: { nodes: 1, cpus: 1, memory: 1, disk: 1 },
    tasks: [shellTask(line)],
    ...more,
  };
}

export function shellTask(line: string, more: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    image: 'busybox.tar',
    runtime: 'singularity',
    cmd: `/bin/sh -c '${line.replaceAll("'", `'"'"'`)}'`,
    ...more,
  };
}

/** One job holds the whole machine until another waits for it; then the first is deleted. */
export async function pauseUntilQueued(rest: Rest): Promise<{ deleted: number; queued: number }> {
  const resources = { nodes: 1, cpus: cpus().length, memory: 1, disk: 1 };
  const deleted = await rest.submit(shellJob('while true; do sleep 0.2; done', { resources }));
  await rest.until(deleted, (job) => job.status === 'running');
  const queued = await rest.submit(shellJob('echo my turn', { resources }));
  await rest.until(queued, (job) => job.statusReason !== undefined);
  await rest.request('DELETE', `/jobs/${deleted}`);
  return { deleted, queued };
}
