/**
 * Up to 500 jobs of a factory. They ask for their places at once; each gets an execution when it has one, so what waits
 * costs a row of the queue and nothing else. Ends when the last has ended.
 */
import {
  CancellationScope,
  condition,
  defineSignal,
  isCancellation,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import { shardSignal, type JobRange, type RangeResult, type ShardSignal } from '../domain/workflow-messages.ts';
import { dags } from './activities.ts';
import { runJob } from './children.ts';

export const shardSignalDefinition = defineSignal<[ShardSignal]>(shardSignal);

export async function shardWorkflow(range: JobRange): Promise<RangeResult> {
  const signals: ShardSignal[] = [];
  setHandler(shardSignalDefinition, (more) => void signals.push(more));
  const { firstJobId, count, name, owner } = range;
  // Jobs that ended already (kept by a rerun, deleted before their turn) need no place.
  const opened = await CancellationScope.nonCancellable(() =>
    dags.openShard({ firstJobId, count, shardId: workflowInfo().workflowId }),
  );
  const { plan } = opened;
  const waiting = new Set(opened.waiting);
  let { failed } = opened;
  let open = 0;
  let hasEnded = false;

  const begin = (jobId: number, handed: Parameters<typeof runJob>[1]) => {
    open += 1;
    void runJob({ jobId, owner, summary: `${name}, job ${jobId}` }, handed).then((succeeded) => {
      open -= 1;
      hasEnded = true;
      if (!succeeded) failed += 1;
    });
  };
  try {
    while (waiting.size + open > 0) {
      setCurrentDetails(
        `${open} jobs of ${name} from ${firstJobId} on run, ${waiting.size} of ${count} wait for a place`,
      );
      await condition(() => signals.length > 0 || hasEnded);
      hasEnded = false;
      for (const { placed = [], ended = [] } of signals.splice(0)) {
        // Word of a job may come more than once.
        for (const { jobId, ...placement } of placed) {
          if (waiting.delete(jobId)) begin(jobId, { plan: { ...plan!, jobId }, placement });
        }
        for (const jobId of ended) if (waiting.delete(jobId)) failed += 1;
      }
      const milliseconds = Math.min(open * gatheringPerJob, longestGathering);
      if (milliseconds > shortestGathering) await dags.gather({ milliseconds });
    }
  } catch (error) {
    // The jobs that wait are ended by whoever cancelled; those that run have been told.
    if (!isCancellation(error)) throw error;
  }
  await CancellationScope.nonCancellable(() => condition(() => open === 0));
  return { failed: failed + waiting.size };
}

/**
 * Each start and end of a child is an event that wakes its parent. While a local activity runs they wait at the server
 * and come together, so a shard with many jobs at once is woken some times a second instead of hundreds. Milliseconds.
 */
const gatheringPerJob = 4;
const shortestGathering = 30;
const longestGathering = 250;
