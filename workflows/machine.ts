/** A machine for as long as it is configured: keeps its one follower alive. Machines of clouds will be made and unmade here. */
import { continueAsNew, defineQuery, setCurrentDetails, setHandler, workflowInfo } from '@temporalio/workflow';
import { machines } from './activities.ts';

export interface MachineInput {
  machineId: number;
}

export const machineStatusQuery = defineQuery<string>('status');

export async function machineWorkflow(input: MachineInput): Promise<void> {
  let status = 'following';
  setHandler(machineStatusQuery, () => status);
  setCurrentDetails(status);
  while (!workflowInfo().continueAsNewSuggested) {
    // It returns once a day, so that its attempts and heartbeats never grow without bound.
    const end = await machines.followMachine(input);
    if (end === 'removed') {
      status = 'removed';
      setCurrentDetails(status);
      return;
    }
  }
  await continueAsNew<typeof machineWorkflow>(input);
}
