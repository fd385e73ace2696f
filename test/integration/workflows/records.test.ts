/** What workflows write, on a real PostgreSQL: ranges of ids, large sizes, exact counters, turns of owners. */
import { setTimeout as pause } from 'node:timers/promises';
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDagActivities } from '../../../activities/dag.ts';
import { createRecordActivities } from '../../../activities/records.ts';
import type { Connection } from '../../../db/connection.ts';
import { endJob } from '../../../db/execution.ts';
import { enqueue, queuePage, type QueuedRequest } from '../../../db/placements.ts';
import { submitJob } from '../../../db/submissions.ts';
import { closeJobs } from '../../../db/unrun-jobs.ts';
import { listWorkflows } from '../../../db/workflow-listing.ts';
import { endWorkflow, releaseSteps } from '../../../db/workflow-execution.ts';
import { expandNext } from '../../../db/workflow-expansion.ts';
import { rerunWorkflow, submitWorkflow, submitWorkflowOnce } from '../../../db/workflow-submissions.ts';
import { workflowListView } from '../../../api/workflow-view.ts';
import { parseJobDescription } from '../../../descriptions/job.ts';
import { parseWorkflowDescription } from '../../../descriptions/workflow.ts';
import { reasons } from '../../../domain/reasons.ts';
import { inTurn, singleJobs, type Turn } from '../../../domain/turns.ts';
import { queueLeaver } from '../../../scheduler/leave-queue.ts';
import { endExpired } from '../../../scheduler/place.ts';
import { shellJob } from '../../ground/running-stack.ts';
import { startDatabase, type TestDatabase } from '../api/postgres.ts';

let database: TestDatabase;
let connection: Connection;
const identity = { owner: 'ann', groups: [] };
const settings = { sites: ['none'], defaultWalltimeMinutes: 1, killGraceSeconds: 1, maximumMachineLosses: 1 };

beforeAll(async () => {
  database = await startDatabase();
  connection = database.connection;
});
afterAll(async () => {
  await database?.destroy();
});

function workflow(document: Record<string, unknown>) {
  const parsed = parseWorkflowDescription(document);
  if (parsed.kind === 'invalid') throw new Error(parsed.issues[0]!.message);
  return { identity, submitted: parsed.submitted, description: parsed.description };
}

function sweep(name: string, count: number) {
  return workflow({
    name,
    jobs: [shellJob('echo $i', { name: 'point' }), shellJob('true', { name: 'end' })],
    dependencies: { point: ['end'] },
    factories: [
      {
        type: 'parameterSweep',
        name: 'f',
        jobs: ['point'],
        parameters: [{ name: 'i', start: 1, end: count, step: 1 }],
      },
    ],
  });
}

async function expandAll(id: number): Promise<void> {
  while (!(await connection.sql.begin((sql) => expandNext(sql, id, 5000))));
}

async function counters(id: number) {
  const [row] = await connection.sql<Record<string, number>[]>`
    select total, done, failed, queued, skipped from workflows where id = ${id}`;
  const [steps] = await connection.sql<Record<string, number>[]>`
    select sum(count)::int as total, sum(done)::int as done, sum(failed)::int as failed, sum(queued)::int as queued,
      sum(skipped)::int as skipped from workflow_steps where workflow_id = ${id}`;
  expect(steps).toEqual(row);
  return row!;
}

const finish = (jobId: number, succeeded: boolean) =>
  connection.db.transaction((tx) =>
    endJob(tx, { jobId, attempt: 1, status: 'completed', tasks: [], retries: 0, succeeded }),
  );

describe('a submit', () => {
  it('of 100,000 jobs is durable in seconds, and each gets its row', async () => {
    const submission = sweep('large', 100_000);
    const began = Date.now();
    const { id } = await submitWorkflow(connection.db, submission);
    const submitted = Date.now() - began;
    // However many they are, a submit writes a few rows.
    expect([...(await connection.sql`select 1 from jobs where workflow_id = ${id}`)]).toEqual([]);
    await expandAll(id);
    const expanded = Date.now() - began;
    console.log(`100,001 jobs: durable after ${submitted} ms, all rows after ${expanded} ms`);
    const [jobs] = await connection.sql`
      select count(*)::int as count, min(id) as first, max(id) as last, count(distinct name)::int as names from jobs where workflow_id = ${id}`;
    expect(jobs).toEqual({ count: 100_001, first: id + 1, last: id + 100_001, names: 100_001 });
    const [some] = await connection.sql`select name, instance, parameters from jobs where id = ${id + 70_000}`;
    expect(some).toEqual({ name: 'large/point/69999', instance: 69_999, parameters: { i: 70_000 } });
  });

  it('gets ids in a row that no other submit draws from', async () => {
    const parsed = parseJobDescription(shellJob('true'));
    if (parsed.kind === 'invalid') throw new Error('a valid job');
    const job = { identity, submitted: parsed.submitted, description: parsed.description };
    let isOver = false;
    const single = async () => {
      const ids: number[] = [];
      while (!isOver) ids.push((await submitJob(connection.db, job)).id);
      return ids;
    };
    const singles = Promise.all([single(), single(), single()]);
    const ranges = await Promise.all(
      Array.from({ length: 3 }, async (_, lane) => {
        const own: { first: number; last: number }[] = [];
        for (let i = 0; i < 8; i += 1) {
          const { id } = await submitWorkflow(connection.db, sweep(`range-${lane}-${i}`, 20));
          own.push({ first: id, last: id + 21 });
          await pause(2);
        }
        return own;
      }),
    );
    isOver = true;
    const taken = (await singles).flat();
    const all = ranges.flat().sort((a, b) => a.first - b.first);
    expect(taken.length).toBeGreaterThan(0);
    for (const [i, { first, last }] of all.entries()) {
      expect(taken.filter((id) => id >= first && id <= last)).toEqual([]);
      if (i > 0) expect(first).toBeGreaterThan(all[i - 1]!.last);
    }
  });

  it('with one key is one workflow, also at the same moment', async () => {
    const submission = sweep('keyed', 3);
    const submit = (requestHash: string) => submitWorkflowOnce(connection.db, submission, { key: 'k', requestHash });
    const answers = await Promise.all([submit('a'), submit('a'), submit('a')]);
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
    expect(await submit('b')).toEqual({ kind: 'keyReused' });
    const [rows] = await connection.sql`select count(*)::int as count from workflows where name = 'keyed'`;
    expect(rows).toEqual({ count: 1 });
  });
});

describe('progress', () => {
  it('is exact when jobs end at the same moment, and counts nothing twice', async () => {
    const { id } = await submitWorkflow(connection.db, sweep('busy', 100));
    await releaseSteps(connection.db, id, [0]);
    await releaseSteps(connection.db, id, [0]);
    expect(await counters(id)).toEqual({ total: 101, done: 0, failed: 0, queued: 100, skipped: 0 });
    const jobs = Array.from({ length: 100 }, (_, i) => id + 1 + i);
    await Promise.all([...jobs, ...jobs].map((jobId) => finish(jobId, jobId % 4 !== 0)));
    const failed = jobs.filter((jobId) => jobId % 4 === 0).length;
    expect(await counters(id)).toEqual({ total: 101, done: 100 - failed, failed, queued: 0, skipped: 0 });
    expect(await endWorkflow(connection.db, id, false)).toBeUndefined();
    await closeJobs(connection.db, { workflowId: id, which: 'skipped', steps: [1] }, 10);
    // What was cancelled has not failed, and what has no result because of others neither.
    const [first, cancelled, second, killed] = jobs.filter((jobId) => jobId % 4 === 0);
    await connection.sql`update jobs set status = 'deleted' where id = ${cancelled!}`;
    await connection.sql`update jobs set status = 'killed' where id = ${killed!}`;
    expect(await endWorkflow(connection.db, id, false)).toBe('failed');
    expect(await endWorkflow(connection.db, id, true)).toBe('failed');
    const nameOf = (jobId: number) => `busy/point/${jobId - id - 1}`;
    const [ended] = await connection.sql`select status_detail as detail from workflows where id = ${id}`;
    expect(ended).toEqual({
      detail: `${failed} of 101 jobs failed (${[first!, second!, killed!].map(nameOf).join(', ')}, ...), 1 was not run`,
    });

    const rerun = await rerunWorkflow(connection.db, identity, id);
    if (rerun.kind !== 'accepted') throw new Error(rerun.kind);
    expect(await counters(rerun.id)).toEqual({ total: 101, done: 100 - failed, failed: 0, queued: 0, skipped: 0 });
    await releaseSteps(connection.db, rerun.id, [0]);
    expect(await counters(rerun.id)).toMatchObject({ queued: failed, done: 100 - failed });
    const dag = createDagActivities({ db: connection.db, ...settings });
    const range = { firstJobId: rerun.id + 1, count: 100, shardId: 'shard' };
    const left = await dag.openShard(range);
    const waiting = jobs.filter((it) => it % 4 === 0).map((it) => it - id + rerun.id);
    expect(left).toMatchObject({ waiting, failed: 0, plan: { taskCount: 1 } });
    // Repeated, as after a crash: each job asks once.
    expect(await dag.openShard(range)).toEqual(left);
    const asked = await connection.sql`
      select job_id as id, temporal_id as told from placement_requests where job_id > ${rerun.id} order by job_id`;
    expect([...asked]).toEqual(waiting.map((jobId) => ({ id: jobId, told: 'shard' })));
    await connection.sql`delete from placement_requests`;
  });

  it('of a deleted workflow tells what became of its jobs', async () => {
    const { id } = await submitWorkflow(connection.db, sweep('gone', 6));
    await releaseSteps(connection.db, id, [0]);
    await finish(id + 1, true);
    await finish(id + 2, false);
    await closeJobs(connection.db, { workflowId: id, which: 'leftOver', isDeleted: true }, 100);
    expect(await endWorkflow(connection.db, id, true)).toBe('deleted');
    const filter = { owner: identity.owner, ids: [id], scope: 'any' as const };
    const { rows } = await listWorkflows(connection.db, filter, { direction: 'newest', limit: 1 });
    expect(workflowListView(rows[0]!)).toMatchObject({
      progress: { total: 7, done: 1, failed: 1, queued: 0, waiting: 0, deleted: 5 },
    });
    const states = await connection.sql`
      select status, succeeded, count(*)::int from jobs where workflow_id = ${id} group by 1, 2 order by 3`;
    expect(states.map(({ count }) => count as number)).toEqual([1, 1, 5]);
  });

  it('of jobs that waited longer than they may tells that they failed, and so is their shard told', async () => {
    const submission = sweep('expired', 5);
    for (const job of submission.description.jobs) job.policies.maximumTimeInQueueMinutes = 1;
    const { id } = await submitWorkflow(connection.db, submission);
    await releaseSteps(connection.db, id, [0]);
    const dag = createDagActivities({ db: connection.db, ...settings });
    await dag.openShard({ firstJobId: id + 1, count: 5, shardId: 'patient' });
    expect(await endExpired(connection.db)).toBe(0);
    await connection.sql`update placement_requests set expires_at = now() - interval '1 second' where job_id <= ${id + 3}`;
    expect(await endExpired(connection.db)).toBe(3);
    expect(await endExpired(connection.db)).toBe(0);
    expect(await counters(id)).toEqual({ total: 6, done: 0, failed: 3, queued: 2, skipped: 0 });
    const ended = await connection.sql`
      select id, status, status_reason as reason from jobs where workflow_id = ${id} and status = 'failed' order by id`;
    const expired = [1, 2, 3].map((n) => ({ id: id + n, status: 'failed', reason: reasons.queuedTooLong }));
    expect([...ended]).toEqual(expired);
    const [told] = await connection.sql`select kind, payload from outbox where target = 'patient'`;
    expect(told).toEqual({ kind: 'shardNews', payload: { ended: [id + 1, id + 2, id + 3] } });
    await connection.sql`delete from placement_requests`;
  });

  it('of a deleted workflow tells released jobs from those that waited', async () => {
    const { id } = await submitWorkflow(connection.db, sweep('deleted', 20));
    await releaseSteps(connection.db, id, [0]);
    await finish(id + 1, true);
    while (await closeJobs(connection.db, { workflowId: id, which: 'neverStarted' }, 7));
    expect(await counters(id)).toEqual({ total: 21, done: 1, failed: 19, queued: 0, skipped: 1 });
    expect(await endWorkflow(connection.db, id, true)).toBe('deleted');
  });
});

describe('the queue', () => {
  it('is left by those who do not wait out what became of the machines', async () => {
    const gb = 1e9;
    const site = 'lab';
    const [{ id: machineId } = { id: 0 }] = await connection.sql<{ id: number }[]>`
      insert into machines (site, name, state, cpus, memory, disk, free_cpus, free_memory, free_disk)
      values (${site}, 'one', 'ready', 4, ${16 * gb}, ${100 * gb}, 0, 0, 0) returning id`;
    const records = createRecordActivities({
      ...{ db: connection.db, ...settings, sites: [site] },
      submit: () => Promise.reject(new Error('nothing is submitted by these executions')),
    });
    const dag = createDagActivities({ db: connection.db, ...settings, sites: [site] });
    const asking = async (minutes: number) => {
      const parsed = parseJobDescription(shellJob('true', { policies: { maximumTimeInQueue: minutes } }));
      if (parsed.kind === 'invalid') throw new Error('a valid job');
      const job = { identity, submitted: parsed.submitted, description: parsed.description };
      const { id } = await submitJob(connection.db, job);
      const opened = await records.openJob({ jobId: id });
      return { id, answer: opened.kind === 'opened' ? opened.answer : opened };
    };
    const impatient = await asking(0);
    const patient = await asking(-1);
    const bounded = await asking(5);
    expect([impatient, patient, bounded].map(({ answer }) => answer.kind)).toEqual(['queued', 'queued', 'queued']);
    const { id: shard } = await submitWorkflow(connection.db, sweep('impatient', 3));
    await releaseSteps(connection.db, shard, [0]);
    await dag.openShard({ firstJobId: shard + 1, count: 3, shardId: 'impatient' });

    const leave = queueLeaver(connection.db, { sites: [site] });
    const become = (state: string) => connection.sql`update machines set state = ${state} where id = ${machineId}`;
    const queued = async () =>
      [...(await connection.sql`select job_id as id from placement_requests order by 1`)].map(({ id }) => id as number);
    expect(await leave()).toBe(0);
    await become('unreachable');
    expect(await leave()).toBe(0);
    expect(await queued()).toHaveLength(6);
    await become('lost');
    expect(await leave()).toBe(4);
    expect(await queued()).toEqual([patient.id, bounded.id]);
    const told = await connection.sql`
      select kind, target, payload from outbox where kind = 'leftQueue' or target = 'impatient' order by id desc limit 2`;
    expect([...told].sort((a, b) => String(a['kind']).localeCompare(String(b['kind'])))).toEqual([
      {
        kind: 'leftQueue',
        target: `job-${impatient.id}`,
        payload: {
          attempt: 1,
          statusReason: reasons.noMatchingResourcesNow,
          detail: 'every machine that could run it is out of reach',
        },
      },
      { kind: 'shardNews', target: 'impatient', payload: { ended: [shard + 1, shard + 2, shard + 3] } },
    ]);
    const [job] = await connection.sql`select status, status_reason as reason from jobs where id = ${shard + 1}`;
    expect(job).toEqual({ status: 'failed', reason: reasons.noMatchingResourcesNow });
    expect(await counters(shard)).toMatchObject({ failed: 3, queued: 0 });

    // Who asks now is refused at once; who has run and lost its machine waits for it.
    expect((await asking(0)).answer).toMatchObject({
      kind: 'refused',
      statusReason: reasons.noMatchingResourcesNow,
    });
    const lost = { jobId: impatient.id, attempt: 1, cause: 'machineLost', detail: 'gone', retries: 0 } as const;
    expect(await records.nextAttempt(lost)).toEqual({ kind: 'queued' });
    expect(await leave()).toBe(0);
    await connection.sql`update machines set state = 'ready', cpus = 1, memory = 1 where id = ${machineId}`;
    expect(await leave()).toBe(1);
    expect(await queued()).toEqual([patient.id, bounded.id]);
    await connection.sql`delete from placement_requests`;
    await connection.sql`delete from machines`;
  });

  it('takes owners in turns, those with the fewest running jobs first, and of each owner the highest priority first', async () => {
    const ask = (jobId: number, owner: string, priority = 0) =>
      connection.db.transaction((tx) =>
        enqueue(
          tx,
          {
            jobId,
            attempt: 1,
            owner,
            workflowId: singleJobs,
            priority,
            waitsOut: 'busyMachines',
            temporalId: `job-${jobId}`,
            sizes: [{ cpus: 1, memory: 1, disk: 1 }],
            sites: [],
            regions: [],
            preferredSites: [],
            preferredRegions: [],
            abilities: [],
          },
          'busy',
        ),
      );
    await connection.sql`
      insert into placement_requests (job_id, attempt, owner, sizes, waits_out, temporal_id)
      select 9000000 + g, 1, 'many', '[{"cpus":1,"memory":1,"disk":1}]', 'anything', 'job-' || 9000000 + g from generate_series(1, 20000) g`;
    await connection.sql`
      insert into placements (job_id, attempt, node, machine_id, owner, cpus, memory, disk)
      select 8000000 + g, 1, 0, 1, 'runs', 1, 1, 1 from generate_series(1, 3) g`;
    await ask(9_900_001, 'one');
    await ask(9_900_002, 'runs');
    await ask(9_900_003, 'urgent', 5);
    // No priority of one owner is anything to another.
    await ask(9_900_004, 'one', 2_000_000_000);
    const page = (after: Turn | undefined, number: number): Promise<QueuedRequest[]> =>
      connection.db.transaction((tx) => queuePage(tx, after, { size: 5, number }));
    const first = await page(undefined, 0);
    expect(first.map(({ owner, jobId }) => [owner, jobId])).toEqual([
      ['many', 9_000_001],
      ['urgent', 9_900_003],
      ['one', 9_900_004],
      ['many', 9_000_002],
      ['one', 9_900_001],
    ]);
    const second = await page(first[4], 1);
    expect(second.map(({ owner, jobId }) => [owner, jobId])).toEqual([
      ['many', 9_000_003],
      ['many', 9_000_004],
      ['runs', 9_900_002],
      ['many', 9_000_005],
      ['many', 9_000_006],
    ]);
    // Whatever waits, a page reads no more rows than it has for each of those who take turns.
    const read = await connection.db.transaction(async (tx) => {
      await queuePage(tx, undefined, { size: 5, number: 0 });
      const [row] = await tx.execute<{ rows: number }>(sql`
        select (seq_tup_read + idx_tup_fetch)::int as rows from pg_stat_xact_user_tables
        where relname = 'placement_requests'`);
      return row!.rows;
    });
    expect(read).toBeLessThan(60);
    await connection.sql`delete from placement_requests`;
    await connection.sql`delete from placements`;
  });

  it('has the order of domain/turns.ts, page by page, also behind a hundred thousand that wait', async () => {
    const sets = ['ann', 'bob', 'cleo'].flatMap((owner, o) =>
      [0, 3].flatMap((priority) =>
        [singleJobs, 11 + o, 21 + o, 31 + o].map((workflowId) => ({ owner, priority, workflowId })),
      ),
    );
    // By a rule that mixes them, so that each set has another age and size.
    const waiting = Array.from({ length: 300 }, (_, i) => ({ ...sets[(i * i + 3 * i) % sets.length]!, id: i + 1 }));
    const running = Array.from({ length: 40 }, (_, i) => sets[(i * 7) % sets.length]!);
    await connection.sql`truncate placement_requests, placements`;
    await connection.sql`
      insert into placement_requests (id, job_id, attempt, owner, workflow_id, priority, sizes, waits_out, temporal_id)
      select id, id, 1, owner, workflow_id, priority, '[]', 'anything', ''
      from jsonb_to_recordset(${JSON.stringify(waiting.map(({ workflowId, ...it }) => ({ ...it, workflow_id: workflowId })))}::jsonb)
        as fresh (id bigint, owner text, workflow_id int, priority int)`;
    await connection.sql`
      insert into placements (job_id, attempt, node, machine_id, owner, workflow_id, cpus, memory, disk)
      select i, 1, 0, 1, owner, workflow_id, 1, 1, 1
      from jsonb_to_recordset(${JSON.stringify(running.map(({ owner, workflowId }, i) => ({ i, owner, workflow_id: workflowId })))}::jsonb)
        as fresh (i int, owner text, workflow_id int)`;
    const seen: Turn[] = [];
    for (let number = 0; ; number += 1) {
      const page = await connection.db.transaction((tx) => queuePage(tx, seen.at(-1), { size: 40, number }));
      if (page.length === 0) break;
      seen.push(...page.map(({ rank, id }) => ({ rank, id })));
    }
    expect(seen).toEqual(inTurn(waiting, running));

    await connection.sql`
      insert into placement_requests (job_id, attempt, owner, workflow_id, sizes, waits_out, temporal_id)
      select 1000 + g, 1, 'dora', 100 + g % 500, '[]', 'anything', '' from generate_series(1, 100000) g`;
    await connection.sql`
      insert into placement_requests (job_id, attempt, owner, workflow_id, sizes, waits_out, temporal_id)
      select 200000 + g, 1, 'emil', 90, '[]', 'anything', '' from generate_series(1, 2000) g`;
    const [single] = await connection.sql<{ id: number }[]>`
      insert into placement_requests (job_id, attempt, owner, sizes, waits_out, temporal_id)
      values (300000, 1, 'emil', '[]', 'anything', '') returning id::int`;
    await connection.sql`vacuum analyze placement_requests`;
    const [page, read] = await connection.db.transaction(async (tx) => {
      const first = await queuePage(tx, undefined, { size: 16, number: 0 });
      const [row] = await tx.execute<{ rows: number }>(sql`
        select (seq_tup_read + idx_tup_fetch)::int as rows from pg_stat_xact_user_tables where relname = 'placement_requests'`);
      return [first, row!.rows] as const;
    });
    const ofEmil = page.filter(({ owner }) => owner === 'emil').map(({ id }) => id);
    expect(ofEmil[1]).toBe(single!.id);
    expect(read).toBeLessThan(2000);
    await connection.sql`truncate placement_requests, placements`;
  });
});
