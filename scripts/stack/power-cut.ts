/**
 * Temporal's file may lack its last commits after the machine itself went down (`sqlitePragmas`), and the outbox forgets
 * what it delivered. So where the machine was started anew since the stack was, what may be missing is said again.
 */
import { existsSync, readFileSync } from 'node:fs';
import { connect } from '../../db/connection.ts';
import { resendMessages } from '../../db/lost-messages.ts';
import { writeWhole, type Home } from './home.ts';

const bootIdFile = '/proc/sys/kernel/random/boot_id';

/** To be called when both servers are ready, and before a worker is there. */
export async function resendAfterPowerCut(
  home: Home,
  databaseUrl: string,
  log: (message: string) => void,
): Promise<void> {
  const before = read(home.bootFile);
  const now = read(bootIdFile);
  // A home of its first start has nothing to tell, and one of a version without this file lost nothing.
  if (before !== undefined && before !== now) {
    const database = connect(databaseUrl, { poolSize: 1 });
    try {
      const told = await resendMessages(database.db);
      log(`the machine was started anew: ${told} messages are sent to Temporal again`);
    } finally {
      await database.close();
    }
  }
  writeWhole(home.bootFile, now ?? '');
}

const read = (file: string): string | undefined => (existsSync(file) ? readFileSync(file, 'utf8').trim() : undefined);
