/** Whether the token of a job still counts, and for what. */
import { secondsAfterEnd } from '../domain/job-token.ts';
import type { Database } from './connection.ts';

export interface LiveToken {
  /** Until when what the job submits is taken, in seconds since the epoch. */
  signInEnds: number;
}

/**
 * While this attempt is the job's current one, and a while after the job's end unless it was deleted: an attempt that was lost with its
 * machine may go on computing, but speaks for nobody. Undefined: it does not count.
 * @param delegationSeconds so long from its submit a job may submit others of which no token told when it ends
 */
export async function findLiveToken(
  db: Database,
  token: { owner: string; job: { id: number; attempt: number } },
  delegationSeconds: number,
): Promise<LiveToken | undefined> {
  const [row] = await db.$client<LiveToken[]>`
    select extract(epoch from coalesce(jobs.sign_in_ends, workflows.sign_in_ends,
      jobs.created_at + make_interval(secs => ${delegationSeconds})))::float8 as "signInEnds"
    from jobs left join workflows on workflows.id = jobs.workflow_id
    where jobs.id = ${token.job.id} and jobs.owner = ${token.owner} and jobs.attempt = ${token.job.attempt}
      and (jobs.status in ('pending', 'running')
        or jobs.status <> 'deleted' and jobs.ended_at > now() - make_interval(secs => ${secondsAfterEnd}))`;
  return row;
}
