/** What a list is asked for, as its query. */
import type { JobFilter, ListFilter } from './types.ts';

/** With its question mark; '' when nothing is asked for. */
export function filterQuery(filter: JobFilter): string {
  const query = baseQuery(filter);
  if (filter.ofWorkflow !== undefined) {
    query.set('workflow', 'true');
    query.set('id', String(filter.ofWorkflow));
  }
  const text = query.toString();
  return text ? `?${text}` : '';
}

function baseQuery(filter: ListFilter): URLSearchParams {
  const query = new URLSearchParams();
  if (filter.completed) query.set('completed', 'true');
  if (filter.all) query.set('all', 'true');
  if (filter.num !== undefined) query.set('num', String(filter.num));
  if (filter.status) query.set('status', filter.status);
  if (filter.name !== undefined) query.set('name', filter.name);
  if (filter.constraint !== undefined) query.set('constraint', filter.constraint);
  if (filter.id) query.set('id', filter.id.join(','));
  if (filter.detail) query.set('detail', 'true');
  return query;
}
