/** Watches one job as a user would: asks for its state and its new output until it is over. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '../../client/client.ts';
import type { JobDetail, JobStatus } from '../../client/types.ts';

const askEveryMs = 400;

export interface Watcher {
  onStatus(status: JobStatus, why: string | undefined): void;
  onOutput(text: string): void;
}

/** @returns the job once its status is final. @throws Error when it takes longer than that */
export async function follow(
  client: Pick<Client, 'describe' | 'stdout'>,
  id: number,
  watcher: Watcher,
  options: { signal: AbortSignal; withinSeconds: number },
): Promise<JobDetail> {
  const deadline = Date.now() + options.withinSeconds * 1000;
  const decoder = new TextDecoder();
  let offsetBytes = 0;
  let told = '';
  for (;;) {
    const job = await client.describe(id);
    if (!job) throw new Error(`job ${id} is gone`);
    const why = job.statusDetail ?? job.statusReason;
    const state = `${job.status} ${why ?? ''}`;
    if (state !== told) watcher.onStatus(job.status, why);
    told = state;
    // Asked after the state: when that is final, this is the whole output.
    const bytes = await client.stdout(id, { offsetBytes });
    offsetBytes += bytes.length;
    if (bytes.length > 0) watcher.onOutput(decoder.decode(bytes, { stream: true }));
    if (job.status !== 'pending' && job.status !== 'running') return job;
    if (Date.now() > deadline) throw new Error(`job ${id} is still ${job.status} after ${options.withinSeconds} s`);
    await sleep(askEveryMs, undefined, { signal: options.signal });
  }
}
