/** Jobs: submit, list, describe, delete, remove, clone (spec.md 1.4). */
import type { Context, MiddlewareHandler } from 'hono';
import type { Database } from '../../db/connection.ts';
import { listDetailedJobs, listJobs, unfinishedJobs, type JobFilter } from '../../db/job-listing.ts';
import type { DetailedJob, ListedJob } from '../../db/job-listing.ts';
import { findJobHandle, type JobHandle } from '../../db/job-output.ts';
import { requestDeletion } from '../../db/job-requests.ts';
import { removeFromQueue } from '../../db/queue-requests.ts';
import { cloneJob, type Identity } from '../../db/submissions.ts';
import { submittedJobs } from '../../db/submitters.ts';
import { badRequest, forbidden } from '../errors.ts';
import { detailViews, listView } from '../job-view.ts';
import { readJobQuery } from '../list-query.ts';
import { jobOperations as docs } from '../openapi/jobs.ts';
import { entriesOf, type Listing } from '../pages.ts';
import { idList, readId } from '../numbers.ts';
import { resource, type App, type Env } from '../resource.ts';
import { exactAnswer, jsonArray } from '../streaming.ts';
import { createJob, isDryRun, type SubmitDependencies } from '../submit.ts';

export function jobRoutes(app: App, guards: MiddlewareHandler<Env>[], deps: SubmitDependencies): void {
  const { db, store, wakeOutbox } = deps;
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
    const { owner, job } = c.get('identity');
    const changeable = job ? await submittedJobs(db, job.id, ids) : ids;
    const found = await requestDeletion(db, owner, changeable);
    if (found === 0) throw job ? forbidden(onlyOwnSubmissions) : badRequest('No such job(s)');
    wakeOutbox();
    return c.json({});
  };

  resource(app, '/jobs', guards, {
    docs: { GET: docs.list, POST: docs.submit, DELETE: docs.deleteSeveral },
    GET: (c) => {
      const { listed, isDetailed } = readJobQuery(c, c.get('identity').owner);
      return jsonArray(c, isDetailed ? entriesOf(listed, detailed) : entriesOf(listed, plain));
    },
    POST: async (c) => {
      // It would be submitted, which is not what was asked for.
      if (isDryRun(c)) throw badRequest('Only workflows can be tried by a dry run: POST /workflows?dryrun');
      return c.json({ id: await createJob(c, deps) }, 201);
    },
    DELETE: (c) => {
      const message = 'a job id or list of job ids must be provided';
      return remove(c, idList(c.req.query('id') ?? '', message));
    },
  });

  resource(app, '/jobs/:id{[0-9]+}', guards, {
    docs: { GET: docs.describe, DELETE: docs.delete },
    GET: async (c) => {
      const filter: JobFilter = { owner: c.get('identity').owner, ids: idOf(c), scope: 'any' };
      const { rows } = await listDetailedJobs(db, filter, { direction: 'newest', limit: 1 });
      return exactAnswer(c, await Promise.all(await detailViews(rows, store)));
    },
    DELETE: (c) => remove(c, idOf(c)),
  });

  resource(app, '/jobs/:id{[0-9]+}/remove', guards, {
    docs: { PUT: docs.remove },
    PUT: async (c) => {
      const { id } = await changeableJob(db, c);
      const isRemoved = await removeFromQueue(db, 'job', c.get('identity').owner, id);
      if (!isRemoved) throw badRequest('Job is no longer in the queue');
      return c.json({});
    },
  });

  resource(app, '/jobs/:id{[0-9]+}/clone', guards, {
    docs: { PUT: docs.clone },
    PUT: async (c) => {
      const id = await ownJobId(db, c);
      const identity = c.get('identity');
      const clone = await deps.quotas.submitting(identity.owner, 1, () => cloneJob(db, identity, id));
      if (!clone) throw badRequest('Job does not exist');
      wakeOutbox();
      return c.json({ id: clone.id }, 201);
    },
  });
}

/** Why a job's token was refused. */
export const onlyOwnSubmissions = 'The token of a job may change only what that job submitted';

/** @throws ApiError 400 when there is no such job, 403 when it is someone else's, or not what the asking job submitted */
async function changeableJob(db: Database, c: Context<Env>): Promise<JobHandle> {
  const identity = c.get('identity');
  const job = await ownJob(db, identity, idOf(c)[0]);
  if (identity.job && job.submittedBy !== identity.job.id) throw forbidden(onlyOwnSubmissions);
  return job;
}

/** @throws ApiError 400 when there is no such job, 403 when it is someone else's */
export async function ownJobId(db: Database, c: Context<Env>): Promise<number> {
  return (await ownJob(db, c.get('identity'), idOf(c)[0])).id;
}

export async function ownJob(db: Database, identity: Identity, id: number | undefined) {
  const job = id === undefined ? undefined : await findJobHandle(db, id);
  if (!job) throw badRequest('Job does not exist');
  if (job.owner !== identity.owner) throw forbidden('Not authorized to access this job');
  return job;
}

/** None for a number that no job can have. */
export function idOf(c: Context): number[] {
  const id = readId(c.req.param('id') ?? '');
  return id === undefined ? [] : [id];
}
