/**
 * Claims on machines and the queue for them. Whoever grants holds the placement lock until its transaction ends, so
 * grants never race each other; releases only add to what is free and need no lock.
 */
import { and, eq, ne, sql } from 'drizzle-orm';
import { abilitiesOf } from '../domain/abilities.ts';
import type { PlacementRefusal } from '../domain/job-messages.ts';
import type { Capacity, PlaceableMachine, PlacementCandidate } from '../domain/placement.ts';
import type { WaitsOut } from '../domain/queue-policy.ts';
import { reasons } from '../domain/reasons.ts';
import { mostTakingTurns, type Turn } from '../domain/turns.ts';
import type { Transaction } from './connection.ts';
import { machines, placementRequests, placements } from './schema.ts';

const placementLock = 7_201_001;

/** Wakes the scheduler: something was released or asked for. */
export const placementChannel = 'prominence_placement';
/** Wakes the outbox sender. */
export const outboxChannel = 'prominence_outbox';

export async function lockPlacements(tx: Transaction): Promise<void> {
  await tx.execute(sql`select pg_advisory_xact_lock(${placementLock})`);
}

export interface QueuedCandidate extends PlacementCandidate {
  temporalId: string;
  owner: string;
  /** Of the workflow it is in: see domain/turns.ts. */
  workflowId: number;
  priority: number;
  waitsOut: WaitsOut;
}

/** Machines that hold, held or may come to hold jobs; a few hundred rows at most. */
export async function placeableMachines(tx: Transaction): Promise<PlaceableMachine[]> {
  const rows = await tx
    .select()
    .from(machines)
    .where(sql`${machines.state} <> 'removed'`);
  return rows.map((row) => ({
    id: row.id,
    site: row.site,
    region: row.region,
    isReady: row.state === 'ready',
    isLost: row.state === 'lost',
    ...(row.facts ? { abilities: abilitiesOf(row.facts) } : {}),
    ...(row.facts?.unableToRun ? { unableToRun: row.facts.unableToRun } : {}),
    total: { cpus: row.cpus, memory: row.memory, disk: row.disk },
    free: { cpus: row.freeCpus, memory: row.freeMemory, disk: row.freeDisk },
  }));
}

/** What a shard asks for each of its jobs. */
export interface ShardRequest extends Omit<QueuedCandidate, 'jobId'> {
  jobIds: number[];
  /** Undefined: they may wait for ever. */
  queueSeconds: number | undefined;
}

/** The same for jobs that no execution of their own waits for: their shard is told. Repeats are harmless. */
export async function enqueueShard(tx: Transaction, request: ShardRequest, refusal: string): Promise<void> {
  const { jobIds, attempt, temporalId, owner, workflowId, priority, sizes, queueSeconds } = request;
  const list = (words: string[]) => sql`array(select jsonb_array_elements_text(${JSON.stringify(words)}::jsonb))`;
  await tx.execute(sql`
    with asked as (
      insert into placement_requests (job_id, attempt, temporal_id, is_of_shard, owner, workflow_id, priority, sizes, sites, regions,
        preferred_sites, preferred_regions, abilities, waits_out, refusal, expires_at)
      select id, ${attempt}::int, ${temporalId}, true, ${owner}, ${workflowId}::int, ${priority}::int, ${JSON.stringify(sizes)}::jsonb,
        ${list(request.sites)}, ${list(request.regions)}, ${list(request.preferredSites)}, ${list(request.preferredRegions)},
        ${list(request.abilities)}, ${request.waitsOut}, ${refusal}, now() + ${queueSeconds ?? null}::float8 * interval '1 second'
      from (select jsonb_array_elements_text(${JSON.stringify(jobIds)}::jsonb)::int as id) asking order by id
      on conflict (job_id, attempt) do nothing returning job_id
    ), explained as (
      update jobs set status_reason = ${reasons.noMatchingResourcesNow} from asked where jobs.id = asked.job_id
    )
    select pg_notify(${placementChannel}, '')`);
}

/** Jobs of shards that have waited longer than their queue policy allows. */
export async function jobsPastQueueTime(tx: Transaction, limit: number): Promise<number[]> {
  const rows = await tx.execute<{ jobId: number }>(sql`
    select job_id as "jobId" from placement_requests where expires_at < now() order by expires_at limit ${limit}`);
  return rows.map(({ jobId }) => jobId);
}

/** Also wakes the scheduler. */
export async function enqueue(tx: Transaction, request: QueuedCandidate, refusal: string): Promise<void> {
  const { jobId, attempt, temporalId, owner, priority, sizes, sites, regions, preferredSites, preferredRegions } =
    request;
  const { workflowId, abilities, waitsOut } = request;
  const values = {
    jobId,
    attempt,
    temporalId,
    owner,
    workflowId,
    priority,
    sizes,
    sites,
    regions,
    preferredSites,
    preferredRegions,
    abilities,
    waitsOut,
  };
  const asked = tx
    .insert(placementRequests)
    .values({ ...values, refusal })
    .onConflictDoNothing();
  await tx.execute(sql`with asked as ${asked} select pg_notify(${placementChannel}, '')`);
}

/** What is asked for by those in the queue who do not wait out everything, each combination once. */
export type ImpatientRequest = PlacementCandidate & { waitsOut: WaitsOut };

export async function impatientRequests(tx: Transaction): Promise<ImpatientRequest[]> {
  const rows = await tx
    .selectDistinct({
      sizes: placementRequests.sizes,
      sites: placementRequests.sites,
      regions: placementRequests.regions,
      abilities: placementRequests.abilities,
      waitsOut: placementRequests.waitsOut,
    })
    .from(placementRequests)
    .where(ne(placementRequests.waitsOut, 'anything'));
  return rows.map((row) => ({ ...row, jobId: 0, attempt: 0, preferredSites: [], preferredRegions: [] }));
}

export interface Asking {
  id: number;
  jobId: number;
  isOfShard: boolean;
}

/** Some of those who ask for just that, first those who asked first. */
export async function findAsking(tx: Transaction, asked: ImpatientRequest, limit: number): Promise<Asking[]> {
  const { sizes, sites, regions, abilities } = asked;
  const { id, jobId, isOfShard } = placementRequests;
  return tx
    .select({ id, jobId, isOfShard })
    .from(placementRequests)
    .where(
      and(
        eq(placementRequests.waitsOut, asked.waitsOut),
        sql`${placementRequests.sizes} = ${JSON.stringify(sizes)}::jsonb`,
        eq(placementRequests.sites, sites),
        eq(placementRequests.regions, regions),
        eq(placementRequests.abilities, abilities),
      ),
    )
    .orderBy(id)
    .limit(limit);
}

/** Out of the queue; the executions that wait themselves are told why, by the outbox. */
export async function dequeue(tx: Transaction, asking: Asking[], refusal: PlacementRefusal): Promise<void> {
  const ids = asking.map(({ id }) => id);
  await tx.execute(sql`
    with gone as (
      delete from placement_requests where id in (select jsonb_array_elements_text(${JSON.stringify(ids)}::jsonb)::bigint)
      returning attempt, temporal_id, is_of_shard
    ), told as (
      insert into outbox (kind, target, payload)
      select 'leftQueue', temporal_id, ${JSON.stringify(refusal)}::jsonb || jsonb_build_object('attempt', attempt)
      from gone where not is_of_shard
    )
    select pg_notify(${outboxChannel}, '')`);
}

export async function isAnyoneQueued(tx: Transaction): Promise<boolean> {
  const rows = await tx.select({ id: placementRequests.id }).from(placementRequests).limit(1);
  return rows.length > 0;
}

export interface QueuedRequest extends QueuedCandidate, Turn {
  refusal: string | null;
}

/**
 * The next after `after` in the order of domain/turns.ts. It looks into the index for the sets that take turns, and reads
 * no more than a page of each, whatever waits.
 */
export async function queuePage(
  tx: Transaction,
  after: Turn | undefined,
  page: { size: number; number: number },
): Promise<QueuedRequest[]> {
  const perSet = page.size * (page.number + 1);
  const rows = await tx.execute<Record<string, unknown>>(sql`
    with recursive owners as (
      (select owner from placement_requests order by owner limit 1)
      union all
      select (select owner from placement_requests p where p.owner > owners.owner order by owner limit 1)
      from owners where owners.owner is not null
    ), running as (
      select owner, workflow_id, count(*)::int as jobs from placements where node = 0 group by owner, workflow_id
    ), running_of as (
      select owner, sum(jobs)::int as jobs from running group by owner
    ), sets as (
      select owners.owner, found.lowness, found.workflow_id, coalesce(running.jobs, 0) as running
      from owners cross join lateral (
        with recursive found as (
          (
            select - p.priority as lowness, p.workflow_id from placement_requests p where p.owner = owners.owner
            order by (- p.priority), p.workflow_id limit 1
          )
          union all
          select next.lowness, next.workflow_id from found cross join lateral (
            select - p.priority as lowness, p.workflow_id from placement_requests p
            where p.owner = owners.owner and (- p.priority, p.workflow_id) > (found.lowness, found.workflow_id)
            order by (- p.priority), p.workflow_id limit 1
          ) next
        )
        select * from found limit ${mostTakingTurns}
      ) found
      left join running on running.owner = owners.owner and running.workflow_id = found.workflow_id
      where owners.owner is not null
    ), turns as (
      select waiting.id, coalesce(running_of.jobs, 0) + row_number() over (
        partition by sets.owner order by sets.lowness, sets.running + waiting.place, waiting.id
      )::int as rank
      from sets left join running_of using (owner)
      cross join lateral (
        select p.id, row_number() over (order by p.id) as place from placement_requests p
        where p.owner = sets.owner and - p.priority = sets.lowness and p.workflow_id = sets.workflow_id
        order by p.id limit ${perSet}
      ) waiting
    ), page as (
      select id, rank from turns
      ${after ? sql`where (rank, id) > (${after.rank}, ${after.id})` : sql``}
      order by rank, id limit ${page.size}
    )
    select p.id::float8 as id, job_id, attempt, owner, workflow_id, priority, sizes, sites, regions, preferred_sites,
      preferred_regions, abilities, waits_out, temporal_id, refusal, rank
    from page join placement_requests p using (id)
    order by rank, page.id`);
  return rows.map(
    (row) =>
      ({
        id: row['id'],
        jobId: row['job_id'],
        attempt: row['attempt'],
        owner: row['owner'],
        workflowId: row['workflow_id'],
        priority: row['priority'],
        sizes: row['sizes'],
        sites: row['sites'],
        regions: row['regions'],
        preferredSites: row['preferred_sites'],
        preferredRegions: row['preferred_regions'],
        abilities: row['abilities'],
        waitsOut: row['waits_out'],
        temporalId: row['temporal_id'],
        refusal: row['refusal'],
        rank: row['rank'],
      }) as QueuedRequest,
  );
}

/** Give a machine to an attempt: the claim, the attempt's row and what is left on the machine. */
export async function grant(
  tx: Transaction,
  { jobId, attempt, owner, workflowId }: { jobId: number; attempt: number; owner: string; workflowId: number },
  machineId: number,
  size: Capacity,
): Promise<{ site: string; machine: string }> {
  const { cpus, memory, disk } = size;
  const [machine] = await tx.execute<{ site: string; machine: string }>(sql`
    with machine as (
      update machines set free_cpus = free_cpus - ${cpus}, free_memory = free_memory - ${memory},
        free_disk = free_disk - ${disk}
      where id = ${machineId} returning id, site, name
    ), claim as (
      insert into placements (job_id, attempt, node, machine_id, owner, workflow_id, cpus, memory, disk)
      select ${jobId}::int, ${attempt}::int, 0, id, ${owner}, ${workflowId}::int, ${cpus}::int, ${memory}::bigint, ${disk}::bigint from machine
    ), begun as (
      insert into attempts (job_id, attempt, site, machine_id)
      select ${jobId}::int, ${attempt}::int, site, id from machine on conflict do nothing
    )
    select site, name as machine from machine`);
  if (!machine) throw new Error(`machine ${machineId} vanished while it was granted`);
  return machine;
}

export interface Grant {
  request: QueuedRequest;
  machineId: number;
  size: Capacity;
}

/**
 * Give machines to requests of the queue: claims, attempts, what is left on the machines, and word to each job's execution
 * or to its shard, by the outbox. A request that left the queue meanwhile gets nothing.
 * @returns how many were served
 */
export async function grantQueued(tx: Transaction, grants: Grant[]): Promise<number> {
  if (grants.length === 0) return 0;
  const rows = grants.map(({ request, machineId, size }) => ({ request: request.id, machine: machineId, ...size }));
  // Whoever ends a job, or asks again for it, has its row locked: such a request is left for the next round. Then what
  // a job holds can't change under who ends it, and no grant waits for a transaction that waits for the placement lock.
  const [row] = await tx.execute<{ served: number }>(sql`
    with wanted as (
      select * from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb)
        as (request bigint, machine int, cpus int, memory bigint, disk bigint)
    ), held as (
      select jobs.id from jobs join placement_requests r on r.job_id = jobs.id join wanted on wanted.request = r.id
      where jobs.status = 'pending' and jobs.attempt = case when r.is_of_shard then 0 else r.attempt end
      order by jobs.id for update of jobs skip locked
    ), served as (
      delete from placement_requests r using wanted
      where r.id = wanted.request and job_id in (select id from held)
      returning job_id, attempt, owner, workflow_id, temporal_id, is_of_shard, machine, wanted.cpus, wanted.memory, wanted.disk
    ), claimed as (
      insert into placements (job_id, attempt, node, machine_id, owner, workflow_id, cpus, memory, disk)
      select job_id, attempt, 0, machine, owner, workflow_id, cpus, memory, disk from served
    ), begun as (
      update jobs set attempt = served.attempt from served where jobs.id = served.job_id and is_of_shard
    ), spent as (
      update machines m set free_cpus = m.free_cpus - s.cpus, free_memory = m.free_memory - s.memory,
        free_disk = m.free_disk - s.disk
      from (
        select machine, sum(cpus)::int cpus, sum(memory)::bigint memory, sum(disk)::bigint disk from served group by machine
      ) s where m.id = s.machine
    ), granted as (
      select served.*, m.site, jsonb_build_object('attempt', attempt, 'machineId', m.id, 'site', m.site, 'machine', m.name) as placement
      from served join machines m on m.id = served.machine
    ), recorded as (
      insert into attempts (job_id, attempt, site, machine_id)
      select job_id, attempt, site, machine from granted on conflict do nothing
    ), told as (
      insert into outbox (kind, target, payload)
      select 'placed', temporal_id, placement from granted where not is_of_shard
      union all
      select 'shardNews', temporal_id,
        jsonb_build_object('placed', jsonb_agg(placement || jsonb_build_object('jobId', job_id)))
      from granted where is_of_shard group by temporal_id
    )
    select count(*)::int as served, pg_notify(${outboxChannel}, '') from served`);
  return row!.served;
}

export async function recordRefusals(tx: Transaction, refusals: { id: number; refusal: string }[]): Promise<void> {
  if (refusals.length === 0) return;
  await tx.execute(sql`
    update placement_requests r set refusal = told.refusal
    from jsonb_to_recordset(${JSON.stringify(refusals)}::jsonb) as told (id bigint, refusal text)
    where r.id = told.id`);
}

/** What a job holds on its machine; undefined once it was released. */
export async function findPlacement(tx: Transaction, ref: { jobId: number; attempt: number }) {
  const [row] = await tx
    .select({
      machineId: placements.machineId,
      cpus: placements.cpus,
      memory: placements.memory,
      disk: placements.disk,
      site: machines.site,
      machine: machines.name,
    })
    .from(placements)
    .innerJoin(machines, eq(machines.id, placements.machineId))
    .where(and(eq(placements.jobId, ref.jobId), eq(placements.attempt, ref.attempt)))
    .limit(1);
  return row;
}

/** Part of a statement: machines get back what the claims in `gone` held. */
export const givingBack = sql`
  held as (
    select machine_id, sum(cpus)::int cpus, sum(memory)::bigint memory, sum(disk)::bigint disk from gone group by machine_id
  ), freed as (
    update machines m set free_cpus = m.free_cpus + held.cpus, free_memory = m.free_memory + held.memory,
      free_disk = m.free_disk + held.disk
    from held where m.id = held.machine_id
  )`;

/**
 * End a job's claims and its turn in the queue, up to an attempt, and wake the scheduler. The caller holds the job's row
 * locked. Repeating it releases nothing twice.
 */
export async function release(tx: Transaction, { jobId, attempt }: { jobId: number; attempt: number }): Promise<void> {
  await tx.execute(sql`
    with gone as (
      delete from placements where job_id = ${jobId} and attempt <= ${attempt}
      returning machine_id, cpus, memory, disk
    ), asked as (
      delete from placement_requests where job_id = ${jobId} and attempt <= ${attempt}
    ), ${givingBack}
    select pg_notify(${placementChannel}, '') where exists (select 1 from placement_requests where job_id <> ${jobId})`);
}
