/**
 * What Temporal was told and may have forgotten in a power cut: said again, from the rows, which forget nothing. Whoever
 * hears something twice does nothing twice. The follower of a machine tells all ends again by itself, and who called for
 * a command has given up waiting; a notification that was handed over in the last moment before is the one thing lost.
 */
import { sql } from 'drizzle-orm';
import { shardSize } from '../domain/workflow-sizes.ts';
import type { Database } from './connection.ts';

/** @returns how many messages there are */
export async function resendMessages(db: Database): Promise<number> {
  // In the order in which they must arrive: what is started before what is told to it. Jobs of a workflow are started by it,
  // a step's single job too; those of a shard are told to the shard, which has its range as its name (`runShard`).
  const [row] = await db.execute<{ told: number }>(sql`
    with job as (
      select * from jobs where status in ('pending', 'running')
    ), workflow as (
      select * from workflows where status in ('pending', 'running')
    ), placement as (
      select job_id, attempt, jsonb_build_object('attempt', attempt, 'machineId', m.id, 'site', m.site, 'machine', m.name) as told
      from placements p join machines m on m.id = p.machine_id where p.node = 0
    ), shard as (
      select j.id, j.status, j.attempt, n.workflow_id, f as first, least(f + ${shardSize}::int, n.first_job_id + n.count) - 1 as last
      from workflow_steps n join workflow w on w.id = n.workflow_id
        join jobs j on j.workflow_id = n.workflow_id and j.step = n.step,
        lateral (select n.first_job_id + (j.id - n.first_job_id) / ${shardSize}::int * ${shardSize}::int) s (f)
      where n.count > 1
    ), message (step, kind, target, payload) as (
      select 1, 'startMachine', 'machine-' || id, jsonb_build_object('machineId', id) from machines where state <> 'removed'
      union all
      select 1, 'startWorkflow', temporal_id, jsonb_build_object('workflowId', id) from workflow
      union all
      select 1, 'startJob', temporal_id, jsonb_build_object('jobId', id) from job where workflow_id is null
      union all
      select 2, 'placed', temporal_id, told from job join placement p on p.job_id = job.id and p.attempt = job.attempt
      union all
      select 2, 'shardNews', 'workflow-' || workflow_id || '-jobs-' || first || '-' || last, jsonb_strip_nulls(jsonb_build_object(
        'placed', jsonb_agg(told || jsonb_build_object('jobId', id)) filter (where told is not null),
        'ended', jsonb_agg(id) filter (where status not in ('pending', 'running'))))
      from shard left join placement p on p.job_id = shard.id and p.attempt = shard.attempt
        and shard.attempt = 1 and shard.status in ('pending', 'running')
      group by workflow_id, first, last
      having bool_or(told is not null or status not in ('pending', 'running'))
      union all
      select 3, 'deleteJob', temporal_id, jsonb_build_object('jobId', id) from job where delete_requested_at is not null
      union all
      select 3, 'deleteWorkflow', temporal_id, jsonb_build_object('workflowId', id) from workflow
      where delete_requested_at is not null
    ), told as (
      insert into outbox (kind, target, payload) select kind, target, payload from message order by step returning 1
    )
    select count(*)::int as told from told`);
  return row!.told;
}
