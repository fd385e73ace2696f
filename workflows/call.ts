/** Something asked of a running job on its machine: one activity there, and its end is written whatever becomes of it. */
import { rootCause } from '@temporalio/workflow';
import type { CallRef } from '../domain/call-messages.ts';
import { callRecords, calls } from './activities.ts';

export async function callWorkflow({ callId }: CallRef): Promise<void> {
  try {
    await calls.performCall({ callId });
  } catch (error) {
    const detail = rootCause(error) ?? 'it could not be carried out';
    await callRecords.abandonCall({ callId, detail });
  }
}
