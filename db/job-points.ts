/** Time series that jobs write about themselves. */
import type { Database } from './connection.ts';

export interface Point {
  measurement: string;
  fields: Record<string, number | string | boolean>;
  tags: Record<string, string>;
  /** Seconds since the epoch; absent: now. */
  time?: number;
}

/** False when the job has as many values as it may, and nothing was written. */
export async function addPoint(db: Database, jobId: number, point: Point, mostValues: number): Promise<boolean> {
  const { measurement, fields, tags, time } = point;
  const rows = await db.$client`
    insert into job_points (job_id, at, measurement, field, tags, value)
    select ${jobId}, coalesce(to_timestamp(${time ?? null}::float8), now()), ${measurement}, key, ${JSON.stringify(tags)}::jsonb, value
    from jsonb_each(${JSON.stringify(fields)}::jsonb)
    where (select count(*) from job_points where job_id = ${jobId}) + ${Object.keys(fields).length}::int <= ${mostValues}::int
    returning id`;
  return rows.length > 0;
}

export interface Series {
  measurement: string;
  field: string;
  tags: Record<string, string>;
  /** `2024-02-29 13:59:01`, in UTC. */
  times: string[];
  values: (number | string | boolean)[];
}

/** Ages are in minutes. */
export interface Window {
  startAge?: number;
  stopAge: number;
}

export async function listSeries(db: Database, jobId: number, { startAge, stopAge }: Window): Promise<Series[]> {
  return db.$client<Series[]>`
    select measurement, field, tags,
      array_agg(to_char(at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') order by at, id) as times,
      jsonb_agg(value order by at, id) as values
    from job_points
    where job_id = ${jobId} and at <= now() - make_interval(secs => ${stopAge * 60})
      and (${startAge ?? null}::float8 is null or at >= now() - make_interval(secs => ${(startAge ?? 0) * 60}))
    group by measurement, field, tags order by measurement, field, tags`;
}
