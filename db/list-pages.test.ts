import fc from 'fast-check';
import { expect, test } from 'vitest';
import { lightWeight, withHeavyDocuments, type ListPage, type Page } from './list-pages.ts';

interface Row {
  id: number;
  weight: number;
  text: string | null;
}

const limit = 5;
const lightest = lightWeight({ direction: 'oldest', limit });
/** Of the heavy rows of a page together. */
const heaviest = lightest * limit;

/** As a statement would: the rows after an id, heavy ones without their text. */
function find(rows: Row[], { after, limit }: ListPage): Row[] {
  const found = rows.filter(({ id }) => after === undefined || id > after).slice(0, limit);
  return found.map((row) => (row.weight > lightest ? { ...row, text: null } : row));
}

async function pageOf(rows: Row[], page: ListPage, isRemoved: (id: number) => boolean): Promise<Page<Row>> {
  const read = (ids: number[]) => Promise.resolve(rows.filter(({ id }) => ids.includes(id) && !isRemoved(id)));
  return withHeavyDocuments(find(rows, page), page, read, (row, { text }) => ({ ...row, text }));
}

const someRows = fc
  .array(fc.oneof(fc.integer({ min: 0, max: lightest }), fc.integer({ min: lightest + 1, max: 2 * heaviest })))
  .map((weights) => weights.map((weight, i): Row => ({ id: i + 1, weight, text: `document ${i + 1}` })));

test('every row is on one page with its documents, and no page has too many bytes of them', async () => {
  await fc.assert(
    fc.asyncProperty(someRows, async (rows) => {
      const seen: Row[] = [];
      for (let after: number | undefined = 0; after !== undefined;) {
        const page: Page<Row> = await pageOf(rows, { direction: 'oldest', limit, after }, () => false);
        const heavy = page.rows.filter(({ weight }) => weight > lightest).map(({ weight }) => weight);
        const together = heavy.reduce((sum, weight) => sum + weight, 0);
        expect(together <= heaviest || heavy.length === 1).toBe(true);
        seen.push(...page.rows);
        after = page.next;
      }
      expect(seen).toEqual(rows);
    }),
  );
});

test('a row that is removed before its documents are read is left out, and the next page is still found', async () => {
  const rows = [1, 2, 3].map((id): Row => ({ id, weight: 2 * heaviest, text: 'a' }));
  const page = await pageOf(rows, { direction: 'oldest', limit }, (id) => id === 1);
  expect(page).toEqual({ rows: [], next: 1 });
});
