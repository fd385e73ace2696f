/** What a list request asks for (docs/wire.md 2.2). */
import type { Context } from 'hono';
import type { JobFilter } from '../db/job-listing.ts';
import type { ListFilter, ListPage } from '../db/list-pages.ts';
import { badRequest } from './errors.ts';
import { idList } from './numbers.ts';

export interface ListPart<Filter = ListFilter> {
  filter: Filter;
  direction: ListPage['direction'];
  /** Infinity: all there are. */
  most: number;
}

export type Listed<Filter = ListFilter> =
  | ({ kind: 'part' } & ListPart<Filter>)
  /** Whatever its state: what has ended, newest first, then what has not, oldest first. */
  | { kind: 'all'; filter: Filter };

export interface ListQuery<Filter = ListFilter> {
  listed: Listed<Filter>;
  isDetailed: boolean;
}

/** @throws ApiError 400 */
export function readWorkflowQuery(c: Context, owner: string): ListQuery {
  const ids = readIds(c, 'id must be a workflow id or a list of workflow ids');
  return { listed: readListed(c, readFilter(c, owner, ids), ids !== undefined), isDetailed: has(c, 'detail') };
}

/** With `workflow=true` the first id is a workflow's, and its jobs are meant. @throws ApiError 400 */
export function readJobQuery(c: Context, owner: string): ListQuery<JobFilter> {
  const ids = readIds(c, 'id must be a job id or a list of job ids');
  const isDetailed = has(c, 'detail');
  const succeeded = readSucceeded(c);
  if (ids === undefined || c.req.query('workflow') !== 'true') {
    const listed = readListed<JobFilter>(c, readFilter(c, owner, ids), ids !== undefined);
    return { listed: ofSuccess(listed, succeeded), isDetailed };
  }
  const [workflowId] = ids;
  // No workflow can have that id, so nothing is listed.
  const filter = readFilter(c, owner, workflowId === undefined ? [] : undefined);
  const listed = readListed<JobFilter>(c, { ...filter, ...(workflowId === undefined ? {} : { workflowId }) }, false);
  return {
    listed: ofSuccess(listed.kind === 'part' ? { ...listed, most: Infinity } : listed, succeeded),
    isDetailed,
  };
}

/** All that ended so, whatever else was asked for. */
function ofSuccess(listed: Listed<JobFilter>, succeeded: boolean | undefined): Listed<JobFilter> {
  if (succeeded === undefined) return listed;
  const filter: JobFilter = { ...listed.filter, scope: 'history', succeeded };
  return { kind: 'part', filter, direction: 'newest', most: Infinity };
}

function readFilter(c: Context, owner: string, ids?: number[]): ListFilter {
  const name = c.req.query('name');
  return {
    owner,
    scope: 'any',
    ...(ids === undefined ? {} : { ids }),
    ...(name === undefined ? {} : { name }),
    labels: (c.req.queries('constraint') ?? []).map(readConstraint),
  };
}

function readListed<Filter extends ListFilter>(c: Context, filter: Filter, isByIds: boolean): Listed<Filter> {
  // Wrong is wrong, also where it would count for nothing.
  const most = readNumber(c);
  const status = c.req.query('status');
  const queue = { kind: 'part', direction: 'oldest', most: Infinity } as const;
  if (status !== undefined) return { ...queue, filter: { ...filter, scope: 'unfinished', status: readStatus(status) } };
  if (has(c, 'all') || isByIds) return { kind: 'all', filter };
  if (c.req.query('completed') === 'true') {
    return { kind: 'part', filter: { ...filter, scope: 'history' }, direction: 'newest', most };
  }
  return { ...queue, filter: { ...filter, scope: 'queue' } };
}

const has = (c: Context, name: string): boolean => c.req.query(name) !== undefined;

function readIds(c: Context, message: string): number[] | undefined {
  const ids = c.req.query('id');
  return ids === undefined ? undefined : idList(ids, message);
}

function readStatus(status: string): 'pending' | 'running' {
  if (status === 'running') return 'running';
  if (status === 'idle' || status === 'pending') return 'pending';
  throw badRequest('invalid status specified');
}

/** Of jobs that ended: exit codes count, as they do for what depends on a job. */
function readSucceeded(c: Context): boolean | undefined {
  const word = c.req.query('succeeded');
  if (word === undefined) return undefined;
  if (word === 'true' || word === 'false') return word === 'true';
  throw badRequest('succeeded must be true or false');
}

/** How many finished jobs: 1 unless told, any negative number for all. */
function readNumber(c: Context): number {
  const text = c.req.query('num');
  if (text === undefined) return 1;
  if (!/^[+-]?\d+$/.test(text)) throw badRequest(`num must be an integer, not "${text}"`);
  const number = Number(text);
  return number < 0 ? Infinity : number;
}

/** `name=value`, or as one server had it `name:value`. Neither sign can be in a label. */
function readConstraint(constraint: string): { name: string; value: string } {
  const separator = constraint.includes('=') ? '=' : ':';
  const [name, value, ...more] = constraint.split(separator);
  if (!name || !value || more.length > 0) throw badRequest('Invalid constraint');
  return { name, value };
}
