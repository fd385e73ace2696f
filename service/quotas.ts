/**
 * What one owner may have and do, so that nobody takes the place of others. A submit stays one statement: what an owner has
 * is read at most twice a second, some more often where somebody would be refused, and what this process admitted since is
 * added to it. So one process never admits more than there is, and several together no more than they do in that time.
 */
import { gigabyte, type Config } from '../config/config.ts';
import type { Database } from '../db/connection.ts';
import { addSubmits, readUsage, type Usage } from '../db/quotas.ts';
import { forbidden, Rejected } from './rejected.ts';

export type Quotas = Config['quotas'];

export interface QuotaView {
  limit: number;
  /** Absent where each thing has the limit for itself. */
  used?: number;
}

export interface QuotaKeeper {
  /** What is being submitted counts until `store` is over, and then by what is in the database. @throws Rejected */
  submitting<T>(owner: string, jobs: number, store: () => Promise<T>): Promise<T>;
  /** @throws Rejected when the owner has stored as much as one may */
  refuseFull(owner: string): Promise<void>;
  /** By name, with what is used now. */
  show(owner: string): Promise<Record<string, QuotaView>>;
}

/** What is known of an owner. */
interface Seen {
  usage: Promise<Usage>;
  readAt: number;
  /** How long it counts. */
  forMs: number;
  /** Admitted since, and what was under way when it was read: it may or may not be in it. */
  jobs: number;
}

const shortestMs = 500;
/** So that reading costs a small part of the time, whatever an owner has. */
const timesItsOwn = 50;
/** Of that time: as long are submits refused by it. */
const refusesForPart = 5;
const mostOwners = 10_000;
const flushAfterMs = 300;

export function quotaKeeper(db: Database, quotas: Quotas): QuotaKeeper {
  const owners = new Map<string, Seen>();
  /** Of submits that are under way. */
  const underWay = new Map<string, number>();
  /** Submits that the database was not told of. */
  const unflushed = new Map<string, number>();
  let flushing: NodeJS.Timeout | undefined;

  const read = (owner: string): Seen => {
    const readAt = Date.now();
    const usage = readUsage(db, owner, { unfinishedJobs: quotas.unfinishedJobs + 1 });
    const seen: Seen = { usage, readAt, forMs: Infinity, jobs: underWay.get(owner) ?? 0 };
    owners.delete(owner);
    owners.set(owner, seen);
    for (const oldest of owners.keys()) {
      if (owners.size <= mostOwners) break;
      owners.delete(oldest);
    }
    usage.then(
      () => (seen.forMs = Math.max(shortestMs, timesItsOwn * (Date.now() - readAt))),
      // The next one asks again.
      () => owners.delete(owner),
    );
    return seen;
  };
  const current = (owner: string): Seen => {
    const seen = owners.get(owner);
    return seen && Date.now() - seen.readAt < seen.forMs ? seen : read(owner);
  };
  const recentOf = (owner: string, usage: Usage) => usage.recentSubmits + (unflushed.get(owner) ?? 0);

  /** Later, and many at once: nobody waits for it. */
  const flushLater = () => {
    flushing ??= setTimeout(() => {
      flushing = undefined;
      void Promise.all([...unflushed].map(([owner, submits]) => flush(owner, submits)));
    }, flushAfterMs).unref();
  };
  const flush = async (owner: string, submits: number) => {
    try {
      await addSubmits(db, owner, submits);
    } catch {
      // The database is away: then nobody submits either, and they are told with the next ones.
      return;
    }
    const left = (unflushed.get(owner) ?? 0) - submits;
    if (left > 0) unflushed.set(owner, left);
    else unflushed.delete(owner);
    // What was read before does not have them.
    owners.delete(owner);
  };

  return {
    async submitting(owner, jobs, store) {
      let seen = current(owner);
      let refusal = refusalOf(owner, jobs, { usage: await seen.usage, admitted: seen.jobs });
      // Much may have ended meanwhile: nobody is refused for what was long ago. What another read since serves as well.
      if (refusal && Date.now() - seen.readAt > seen.forMs / refusesForPart) {
        seen = owners.get(owner) === seen ? read(owner) : current(owner);
        refusal = refusalOf(owner, jobs, { usage: await seen.usage, admitted: seen.jobs });
      }
      if (refusal) throw refusal;
      // Nothing is awaited since it was judged. What was read meanwhile does not have these jobs either.
      const counting = new Set([seen, owners.get(owner) ?? seen]);
      for (const each of counting) each.jobs += jobs;
      add(underWay, owner, jobs);
      add(unflushed, owner, 1);
      flushLater();
      try {
        return await store();
      } catch (error) {
        for (const each of counting) each.jobs -= jobs;
        throw error;
      } finally {
        add(underWay, owner, -jobs);
      }
    },
    async refuseFull(owner) {
      const refusal = fullness(await current(owner).usage);
      if (refusal) throw refusal;
    },
    async show(owner) {
      const seen = current(owner);
      const usage = await seen.usage;
      return {
        unfinishedJobs: { limit: quotas.unfinishedJobs, used: usage.unfinishedJobs + seen.jobs },
        submitsPerMinute: { limit: quotas.submitsPerMinute, used: Math.floor(recentOf(owner, usage)) },
        storedBytes: { limit: quotas.storedGb * gigabyte, used: usage.storedBytes },
        uploadBytes: { limit: quotas.uploadGb * gigabyte },
        jobOutputBytes: { limit: quotas.jobOutputGb * gigabyte },
        imageBytes: { limit: quotas.imageGb * gigabyte },
      };
    },
  };

  function refusalOf(
    owner: string,
    jobs: number,
    { usage, admitted }: { usage: Usage; admitted: number },
  ): Rejected | undefined {
    const recent = recentOf(owner, usage);
    if (recent + 1 > quotas.submitsPerMinute) {
      return new Rejected(
        'tooMany',
        `You have submitted ${Math.floor(recent)} times in the last minute, and may ${quotas.submitsPerMinute} times: ` +
          'wait a little, or submit many jobs as one workflow',
        { retryAfterSeconds: 10 },
      );
    }
    const unfinished = usage.unfinishedJobs + admitted;
    if (unfinished + jobs > quotas.unfinishedJobs) {
      return forbidden(
        `You have ${unfinished} jobs that have not ended, and may have ${quotas.unfinishedJobs}: with ` +
          `${jobs === 1 ? 'this one' : `these ${jobs}`} they would be more. Wait for some to end, or delete some`,
      );
    }
    return fullness(usage);
  }

  function fullness({ storedBytes }: Usage): Rejected | undefined {
    const most = quotas.storedGb * gigabyte;
    if (storedBytes < most) return undefined;
    return forbidden(
      `Your uploads, outputs and snapshots have ${storedBytes} bytes, and may have ${most}: delete uploads, or wait until ` +
        'old jobs go with their outputs',
    );
  }
}

function add(counts: Map<string, number>, owner: string, more: number): void {
  const sum = (counts.get(owner) ?? 0) + more;
  if (sum > 0) counts.set(owner, sum);
  else counts.delete(owner);
}
