/** The least a sweep on Temporal could be: a parent that awaits empty children. */
import { executeChild } from '@temporalio/workflow';

export async function emptyWorkflow(): Promise<void> {}

/** `count` children, as many at once as `atOnce`. */
export async function parentWorkflow({ count, atOnce }: { count: number; atOnce: number }): Promise<void> {
  let next = 0;
  const lane = async () => {
    while (next < count) {
      next += 1;
      await executeChild(emptyWorkflow);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
}
