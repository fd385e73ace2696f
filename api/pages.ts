/**
 * A list of any length as pages of what is shown, so that memory does not grow with it. A page is read when the one
 * before was taken, and no connection is held in between.
 */
import type { ListFilter, ListPage, Page } from '../db/list-pages.ts';
import { idsWithin, isWithin, noIds, type IdRanges } from '../domain/id-ranges.ts';
import type { Listed, ListPart } from './list-query.ts';
import type { Entries } from './streaming.ts';

/** How rows of one kind are read, and what is shown of them. */
export interface Listing<Filter, Row> {
  /** At most; a page of large rows has fewer. */
  pageSize: number;
  read: (filter: Filter, page: ListPage) => Promise<Page<Row>>;
  /** Those of a filter that have not ended, after the id. */
  unfinished: (filter: Filter, after: number) => Promise<IdRanges>;
  show: (rows: Row[]) => Entries | Promise<Entries>;
}

/** Pages of entries. */
export async function* entriesOf<Filter extends ListFilter, Row extends { id: number }>(
  listed: Listed<Filter>,
  listing: Listing<Filter, Row>,
): AsyncGenerator<Entries, void> {
  const pages = listed.kind === 'all' ? everything(listed.filter, listing) : pagesOf(listed, listing);
  for await (const rows of pages) yield await listing.show(rows);
}

/**
 * What has ended, newest first, and then what has not, oldest first. What had not when the request came belongs to the
 * second part whatever becomes of it while the first is read: so it is told once, and is not missed between the two.
 */
async function* everything<Filter extends ListFilter, Row extends { id: number }>(
  filter: Filter,
  listing: Listing<Filter, Row>,
): AsyncGenerator<Row[], void> {
  const { pageSize, read } = listing;
  // Most lists have no more than a page of them, which is kept. Of the rest only the ids are, and they are read again.
  const page = await read({ ...filter, scope: 'unfinished' }, { direction: 'oldest', limit: pageSize });
  const ids = new Set(page.rows.map(({ id }) => id));
  const rest = page.next === undefined ? noIds : await listing.unfinished(filter, page.next);
  const history: ListPart<Filter> = { filter: { ...filter, scope: 'history' }, direction: 'newest', most: Infinity };
  for await (const rows of pagesOf(history, listing)) {
    yield rows.filter(({ id }) => !ids.has(id) && !isWithin(rest, id));
  }
  yield page.rows;
  for (const some of idsWithin(rest, pageSize)) {
    yield* pagesOf({ filter: { ...filter, scope: 'any', ids: some }, direction: 'oldest', most: some.length }, listing);
  }
}

async function* pagesOf<Filter extends ListFilter, Row extends { id: number }>(
  { filter, direction, most }: ListPart<Filter>,
  { pageSize, read }: Listing<Filter, Row>,
): AsyncGenerator<Row[], void> {
  let left = most;
  let after: number | undefined;
  while (left > 0) {
    const limit = Math.min(pageSize, left);
    const { rows, next } = await read(filter, { direction, limit, ...(after === undefined ? {} : { after }) });
    yield rows;
    if (next === undefined) return;
    left -= rows.length;
    after = next;
  }
}
