/** Before any test file: what several of them would otherwise do at the same time. */
import { allowSubordinates } from './engines.ts';
import { buildBusybox } from './images.ts';

export default async function prepare(): Promise<void> {
  // Where something can't be had, the tests that need it fail with the reason; others need not.
  await buildBusybox().catch(() => undefined);
  try {
    allowSubordinates('prominence');
  } catch {
    // There is no such account, or no such program.
  }
}
