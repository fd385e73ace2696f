/** One scheduler at a time: whoever holds the lock. The lock is a database session's, so a dead holder loses it at once. */
import postgres from 'postgres';

const schedulerLock = 7_201_002;

export interface Election {
  /** Whether this process is the scheduler now. Tries to become it; cheap to ask often. */
  isElected(): Promise<boolean>;
  close(): Promise<void>;
}

export function standForElection(databaseUrl: string): Election {
  let session: postgres.Sql | undefined;
  let isHolder = false;
  return {
    async isElected() {
      // One connection that is never recycled: the lock lives and dies with it.
      session ??= postgres(databaseUrl, {
        max: 1,
        idle_timeout: 0,
        max_lifetime: null,
        connect_timeout: 5,
        onnotice: () => {},
        onclose: () => (isHolder = false),
      });
      if (isHolder) return true;
      const [row] = await session<{ got: boolean }[]>`select pg_try_advisory_lock(${schedulerLock}) as got`;
      isHolder = row?.got ?? false;
      return isHolder;
    },
    async close() {
      await session?.end({ timeout: 2 });
    },
  };
}
