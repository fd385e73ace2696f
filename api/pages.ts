/** A list of any length as pages of what is shown, so that memory does not grow with it. */
import type { ListFilter, ListPage } from '../db/list-pages.ts';
import type { ListPart } from './list-query.ts';

export async function* pagesOf<Filter extends ListFilter, Row extends { id: number }>(
  parts: ListPart<Filter>[],
  pageSize: number,
  read: (filter: Filter, page: ListPage) => Promise<Row[]>,
  show: (rows: Row[]) => unknown[] | Promise<unknown[]>,
): AsyncGenerator<unknown[], void> {
  for (const { filter, direction, most } of parts) {
    let left = most;
    let after: number | undefined;
    while (left > 0) {
      const page: ListPage = { direction, limit: Math.min(pageSize, left), ...(after === undefined ? {} : { after }) };
      const rows = await read(filter, page);
      if (rows.length > 0) yield await show(rows);
      if (rows.length < page.limit) break;
      left -= rows.length;
      after = rows.at(-1)?.id;
    }
  }
}
