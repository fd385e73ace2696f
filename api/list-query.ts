/** What a list request asks for, as the parts the answer is put together from (spec.md 1.4, 3.7, 10). */
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

export interface ListQuery<Filter = ListFilter> {
  parts: ListPart<Filter>[];
  isDetailed: boolean;
}

/** @throws ApiError 400 */
export function readWorkflowQuery(c: Context, owner: string): ListQuery {
  const ids = readIds(c, 'id must be a workflow id or a list of workflow ids');
  return { parts: readParts(c, readFilter(c, owner, ids), ids !== undefined), isDetailed: has(c, 'detail') };
}

/** With `workflow=true` the first id is a workflow's, and its jobs are meant. @throws ApiError 400 */
export function readJobQuery(c: Context, owner: string): ListQuery<JobFilter> {
  const ids = readIds(c, 'id must be a job id or a list of job ids');
  const isDetailed = has(c, 'detail');
  if (ids === undefined || c.req.query('workflow') !== 'true') {
    return { parts: readParts(c, readFilter(c, owner, ids), ids !== undefined), isDetailed };
  }
  const [workflowId] = ids;
  if (workflowId === undefined) return { parts: [], isDetailed };
  const parts = readParts(c, readFilter(c, owner), false);
  const ofWorkflow = ({ filter, direction }: ListPart) => {
    return { filter: { ...filter, workflowId }, direction, most: Infinity };
  };
  return { parts: parts.map(ofWorkflow), isDetailed };
}

function readFilter(c: Context, owner: string, ids?: number[]): Omit<ListFilter, 'scope'> {
  const name = c.req.query('name');
  return {
    owner,
    ...(ids === undefined ? {} : { ids }),
    ...(name === undefined ? {} : { name }),
    labels: (c.req.queries('constraint') ?? []).map(readConstraint),
  };
}

function readParts(c: Context, filter: Omit<ListFilter, 'scope'>, isByIds: boolean): ListPart[] {
  const active = (scope: 'queue' | 'unfinished', status?: 'pending' | 'running'): ListPart => ({
    filter: { ...filter, scope, ...(status ? { status } : {}) },
    direction: 'oldest',
    most: Infinity,
  });
  const finished = (most: number): ListPart => ({ filter: { ...filter, scope: 'history' }, direction: 'newest', most });

  // Wrong is wrong, also where it would count for nothing.
  const most = readNumber(c);
  const status = c.req.query('status');
  if (status !== undefined) return [active('unfinished', readStatus(status))];
  if (has(c, 'all') || isByIds) return [finished(Infinity), active('unfinished')];
  if (c.req.query('completed') === 'true') return [finished(most)];
  return [active('queue')];
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
