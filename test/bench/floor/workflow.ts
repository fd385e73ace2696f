/** The least a job on Temporal could be: a workflow that has one activity done. */
import { proxyActivities } from '@temporalio/workflow';
import type * as activities from './activity.ts';

const { nothing } = proxyActivities<typeof activities>({ startToCloseTimeout: '1 minute' });

export { emptyWorkflow, parentWorkflow } from './children.ts';

export async function floorWorkflow(): Promise<void> {
  await nothing();
}
