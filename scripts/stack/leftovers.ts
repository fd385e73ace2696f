/** What a stack that was killed left running: its children, which nobody supervises any more, are ended. */
import { end, forget, readLive } from './pid-file.ts';
import type { Home } from './home.ts';

const graceSeconds = 20;

/** @param names in the order to stop them */
export async function stopLeftovers(
  home: Home,
  names: readonly string[],
  log: (message: string) => void,
): Promise<void> {
  for (const name of names) {
    const left = readLive(home.pidFile(name));
    if (left) {
      log(`stopping ${name} (process ${left.pid}), left by a stack that was killed`);
      await end(left, { signal: name === 'postgres' ? 'SIGINT' : 'SIGTERM', graceSeconds });
    }
    forget(home.pidFile(name));
  }
}
