/** Jobs: submit, list, describe, delete, remove, clone (docs/wire.md 2.1). */
import type { Context } from 'hono';
import type { Database } from '../../db/connection.ts';
import { listDetailedJobs, listJobs, unfinishedJobs, type JobFilter } from '../../db/job-listing.ts';
import type { DetailedJob, ListedJob } from '../../db/job-listing.ts';
import type { JobHandle } from '../../db/job-output.ts';
import { deleteJobs, removeJob } from '../../service/deletions.ts';
import { ownJob } from '../../service/own.ts';
import { clone, submit, type SubmitDependencies } from '../../service/submit-job.ts';
import { readDescription } from '../body.ts';
import { badRequest } from '../errors.ts';
import { detailViews, listView } from '../job-view.ts';
import { readJobQuery } from '../list-query.ts';
import { jobOperations as docs } from '../openapi/jobs.ts';
import { entriesOf, type Listing } from '../pages.ts';
import { idList, readId } from '../numbers.ts';
import { resource, type App, type Env, type Guards } from '../resource.ts';
import { exactAnswer, jsonArray } from '../streaming.ts';

export function jobRoutes(app: App, guards: Guards, deps: SubmitDependencies): void {
  const { db, store } = deps;
  const unfinished = (filter: JobFilter, after: number) => unfinishedJobs(db, filter, after);
  const plain: Listing<JobFilter, ListedJob> = {
    pageSize: 500,
    read: (filter, page) => listJobs(db, filter, page),
    unfinished,
    show: (jobs) => jobs.map(listView),
  };
  const detailed: Listing<JobFilter, DetailedJob> = {
    pageSize: 100,
    read: (filter, page) => listDetailedJobs(db, filter, page),
    unfinished,
    show: (jobs) => detailViews(jobs, store),
  };

  const remove = async (c: Context<Env>, ids: number[]) => {
    await deleteJobs(deps, c.get('identity'), ids);
    return c.json({});
  };

  resource(app, '/jobs', guards, {
    docs: { GET: docs.list, POST: docs.submit, DELETE: docs.deleteSeveral },
    jobToken: { GET: 'reads', POST: 'submits', DELETE: 'changes' },
    GET: (c) => {
      const { listed, isDetailed } = readJobQuery(c, c.get('identity').owner);
      return jsonArray(c, isDetailed ? entriesOf(listed, detailed) : entriesOf(listed, plain));
    },
    POST: async (c) => {
      // It would be submitted, which is not what was asked for.
      if (isDryRun(c)) throw badRequest('Only workflows can be tried by a dry run: POST /workflows?dryrun');
      const idempotencyKey = c.req.header('idempotency-key');
      const id = await submit(deps, c.get('identity'), await readDescription(c), { idempotencyKey });
      return c.json({ id }, 201);
    },
    DELETE: (c) => {
      const message = 'a job id or list of job ids must be provided';
      return remove(c, idList(c.req.query('id') ?? '', message));
    },
  });

  resource(app, '/jobs/:id{[0-9]+}', guards, {
    docs: { GET: docs.describe, DELETE: docs.delete },
    jobToken: { GET: 'reads', DELETE: 'changes' },
    GET: async (c) => {
      const filter: JobFilter = { owner: c.get('identity').owner, ids: idOf(c), scope: 'any' };
      const { rows } = await listDetailedJobs(db, filter, { direction: 'newest', limit: 1 });
      return exactAnswer(c, await Promise.all(await detailViews(rows, store)));
    },
    DELETE: (c) => remove(c, idOf(c)),
  });

  resource(app, '/jobs/:id{[0-9]+}/remove', guards, {
    docs: { PUT: docs.remove },
    jobToken: { PUT: 'changes' },
    PUT: async (c) => {
      await removeJob(db, c.get('identity'), idOf(c)[0]);
      return c.json({});
    },
  });

  resource(app, '/jobs/:id{[0-9]+}/clone', guards, {
    docs: { PUT: docs.clone },
    jobToken: { PUT: 'submits' },
    PUT: async (c) => {
      const { id } = await jobOf(db, c);
      return c.json({ id: await clone(deps, c.get('identity'), id) }, 201);
    },
  });
}

/** What its owner has of it. @throws Rejected */
export const jobOf = (db: Database, c: Context<Env>): Promise<JobHandle> => ownJob(db, c.get('identity'), idOf(c)[0]);

/** A wish to be told what would happen, and nothing else. */
export function isDryRun(c: Context): boolean {
  const asked = c.req.query('dryrun') ?? c.req.query('dryRun');
  return asked !== undefined && asked !== 'false' && asked !== '0';
}

/** None for a number that no job can have. */
export function idOf(c: Context): number[] {
  const id = readId(c.req.param('id') ?? '');
  return id === undefined ? [] : [id];
}
