/** Up to 50 shards of a factory, a few at a time, so that open executions have a bound whatever the factory's size. */
import { setCurrentDetails } from '@temporalio/workflow';
import { groupLanes, shardSize } from '../domain/workflow-sizes.ts';
import type { JobRange, RangeResult } from '../domain/workflow-messages.ts';
import { inLanes, partsOf, runShard } from './children.ts';

export async function groupWorkflow(range: JobRange): Promise<RangeResult> {
  setCurrentDetails(`${range.count} jobs of ${range.name} from ${range.firstJobId} on`);
  return inLanes(partsOf(range, shardSize), groupLanes, runShard);
}
