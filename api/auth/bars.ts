/**
 * Who is barred is refused whatever the token: a person's, a job's, or that in a signed URL. The list is short and read whole,
 * at most once a second, so that every process knows a new bar within that time.
 */
import { listBars, type Bar } from '../../db/bars.ts';
import type { Database } from '../../db/connection.ts';
import { ApiError } from '../errors.ts';

export interface Barrable {
  owner: string;
  groups: readonly string[];
}

export interface BarList {
  /** @throws ApiError 403 */
  refuse(who: Barrable): Promise<void>;
  /** What this process knows is read anew: it changed the list itself. */
  forget(): void;
}

const rememberMs = 1000;

export function barList(db: Database): BarList {
  let known: { bars: Promise<Bar[]>; readAt: number } | undefined;
  const current = (): Promise<Bar[]> => {
    if (known && Date.now() - known.readAt < rememberMs) return known.bars;
    const read = { bars: listBars(db), readAt: Date.now() };
    known = read;
    // What could not be read is asked for again by the next request.
    read.bars.catch(() => {
      if (known === read) known = undefined;
    });
    return read.bars;
  };
  return {
    async refuse(who) {
      const bar = barOf(await current(), who);
      if (!bar) return;
      const whom = bar.kind === 'owner' ? 'you' : `the group ${bar.name}`;
      throw new ApiError(
        403,
        `The operators of this service have barred ${whom}${bar.reason ? `: ${bar.reason}` : ''}`,
      );
    },
    forget: () => (known = undefined),
  };
}

export function barOf(bars: readonly Bar[], { owner, groups }: Barrable): Bar | undefined {
  return bars.find(({ kind, name }) => (kind === 'owner' ? name === owner : groups.includes(name)));
}
