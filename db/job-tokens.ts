/** Whether the token of a job still counts. */
import { secondsAfterEnd } from '../domain/job-token.ts';
import type { Database } from './connection.ts';

/**
 * While this attempt is the job's current one, and a while after the job's end unless it was deleted: an attempt that was lost with its
 * machine may go on computing, but speaks for nobody.
 */
export async function isTokenAlive(
  db: Database,
  token: { owner: string; job: { id: number; attempt: number } },
): Promise<boolean> {
  const rows = await db.$client`
    select 1 from jobs where id = ${token.job.id} and owner = ${token.owner} and attempt = ${token.job.attempt}
      and (status in ('pending', 'running') or status <> 'deleted' and ended_at > now() - make_interval(secs => ${secondsAfterEnd}))`;
  return rows.length > 0;
}
