/** What the follower says to job workflows. A job that is closed has nothing left to hear, and that is fine. */
import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import { jobSignals, type RunLost, type TaskFinished } from '../domain/job-messages.ts';

export interface Signals {
  taskFinished(temporalId: string, message: TaskFinished): Promise<void>;
  runLost(temporalId: string, message: RunLost): Promise<void>;
}

export function createSignals(client: Client): Signals {
  const send = async (temporalId: string, signal: string, message: TaskFinished | RunLost) => {
    try {
      await client.workflow.getHandle(temporalId).signal(signal, message);
    } catch (error) {
      if (!(error instanceof WorkflowNotFoundError)) throw error;
    }
  };
  return {
    taskFinished: (temporalId, message) => send(temporalId, jobSignals.taskFinished, message),
    runLost: (temporalId, message) => send(temporalId, jobSignals.runLost, message),
  };
}
