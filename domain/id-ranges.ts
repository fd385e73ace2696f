/** Many ids in little memory: those that follow each other are a range. */

export interface IdRanges {
  /** Ascending; range i goes from `firsts[i]` to `lasts[i]`, both of them in it. */
  firsts: number[];
  lasts: number[];
}

export const noIds: IdRanges = { firsts: [], lasts: [] };

export function isWithin({ firsts, lasts }: IdRanges, id: number): boolean {
  let [low, high] = [0, firsts.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (lasts[middle]! < id) low = middle + 1;
    else high = middle;
  }
  return low < firsts.length && firsts[low]! <= id;
}

/** All of them, ascending, so many at a time. */
export function* idsWithin({ firsts, lasts }: IdRanges, atATime: number): Generator<number[], void> {
  let ids: number[] = [];
  for (const [i, first] of firsts.entries()) {
    for (let id = first; id <= lasts[i]!; id += 1) {
      ids.push(id);
      if (ids.length < atATime) continue;
      yield ids;
      ids = [];
    }
  }
  if (ids.length > 0) yield ids;
}
