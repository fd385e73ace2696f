/** How a DAG's workflows start what is under them: awaited, cancelled with their parent, and told by name in the Temporal UI. */
import {
  CancellationScope,
  executeChild,
  ParentClosePolicy,
  ChildWorkflowCancellationType,
} from '@temporalio/workflow';
import { isUnencrypted } from '../temporal/unencrypted.ts';
import type { HandedJob } from '../domain/job-messages.ts';
import { jobSearchAttributes } from '../temporal/search-attributes.ts';
import type { JobRange, RangeResult } from '../domain/workflow-messages.ts';
import type { groupWorkflow } from './group.ts';
import type { jobWorkflow } from './job.ts';
import type { shardWorkflow } from './shard.ts';

const awaited = {
  parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
  cancellationType: ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
} as const;

/** Jobs of large factories are dispatched after everything else that waits for a worker. */
const behindOthers = { priority: { priorityKey: 4 } } as const;

export interface ChildJob {
  jobId: number;
  owner: string;
  /** For people. */
  summary: string;
}

/** Whether it succeeded. An execution that broke has not: its row tells the rest. */
export function runJob({ jobId, owner, summary }: ChildJob, handed?: HandedJob): Promise<boolean> {
  return unlessBroken(false, async () => {
    const result = await executeChild<typeof jobWorkflow>('jobWorkflow', {
      ...awaited,
      workflowId: `job-${jobId}`,
      args: [{ jobId, ...(handed ? { handed } : {}) }],
      staticSummary: summary,
      typedSearchAttributes: jobSearchAttributes({ id: jobId, owner, labels: {} }),
    });
    // Of one that is not ours nothing is known.
    return !isUnencrypted(result) && result.succeeded;
  });
}

export function runShard(range: JobRange): Promise<RangeResult> {
  return unlessBroken({ failed: range.count }, () =>
    executeChild<typeof shardWorkflow>('shardWorkflow', {
      ...awaited,
      ...behindOthers,
      workflowId: `workflow-${range.workflowId}-jobs-${range.firstJobId}-${range.firstJobId + range.count - 1}`,
      args: [range],
      staticSummary: summary(range),
    }),
  );
}

export function runGroup(range: JobRange): Promise<RangeResult> {
  return unlessBroken({ failed: range.count }, () =>
    executeChild<typeof groupWorkflow>('groupWorkflow', {
      ...awaited,
      workflowId: `workflow-${range.workflowId}-group-${range.firstJobId}-${range.firstJobId + range.count - 1}`,
      args: [range],
      staticSummary: summary(range),
    }),
  );
}

/** Parts of `range` of at most `size` jobs. */
export function partsOf(range: JobRange, size: number): JobRange[] {
  return Array.from({ length: Math.ceil(range.count / size) }, (_, part) => ({
    ...range,
    firstJobId: range.firstJobId + part * size,
    count: Math.min(size, range.count - part * size),
  }));
}

/** As many lanes as given work through `parts`, in order; each waits for its part. Nothing more begins after a cancellation. */
export async function inLanes(
  parts: JobRange[],
  lanes: number,
  run: (part: JobRange) => Promise<RangeResult>,
): Promise<RangeResult> {
  const total: RangeResult = { failed: 0 };
  const waiting = parts.values();
  const lane = async () => {
    for (const part of waiting) {
      if (CancellationScope.current().consideredCancelled) total.failed += part.count;
      else total.failed += (await run(part)).failed;
    }
  };
  await Promise.all(Array.from({ length: Math.min(lanes, parts.length) }, lane));
  return total;
}

const summary = ({ name, count }: JobRange): string => `${count} jobs of ${name}`.slice(0, 200);

/** Whatever ended a child, its parent goes on: what the database says of the jobs counts. */
async function unlessBroken<T>(otherwise: T, run: () => Promise<T>): Promise<T> {
  try {
    const result = await run();
    return isUnencrypted(result) ? otherwise : result;
  } catch {
    return otherwise;
  }
}
