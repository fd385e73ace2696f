/**
 * What can't be done for the description alone: no other try, and no other machine, would change that. A failure of the
 * job, never one of the machine.
 */
export class DescriptionError extends Error {
  override readonly name = 'DescriptionError';
}

/** What only reads descriptions, and touches nothing outside of this process, fails for what they say. @throws DescriptionError */
export function byDescription<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof DescriptionError) throw error;
    throw new DescriptionError(error instanceof Error ? error.message : String(error));
  }
}
