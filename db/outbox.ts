/** What Temporal has yet to be told. Rows are taken by whoever gets them first and go away only when they were delivered. */
import { inArray, lte, sql } from 'drizzle-orm';
import type { Database, Transaction } from './connection.ts';
import { jobs, outbox, workflows, type OutboxKind } from './schema.ts';

export interface OutboxMessage {
  id: number;
  kind: OutboxKind;
  /** Temporal workflow id. */
  target: string;
  payload: Record<string, unknown>;
  /** What `startJob` and `startWorkflow` start. */
  subject?: OutboxSubject;
}

/** What operators see of it in the Temporal UI. */
export interface OutboxSubject {
  id: number;
  owner: string;
  name: string;
  labels: Record<string, string>;
}

/** What became of a batch, by ids; what is in neither is sent again at once. */
export interface Delivery {
  delivered: number[];
  /** Temporal does not take them as they are. They are tried again, but must not stand before all others meanwhile. */
  refused: number[];
}

const refusedForSeconds = 60;

/**
 * Take up to `limit` messages, deliver them, and delete those that were delivered. The rows stay locked meanwhile: a
 * sender that dies gives them back at once. Returns how many were taken and how many are settled for now.
 */
export async function deliverBatch(
  db: Database,
  limit: number,
  deliver: (messages: OutboxMessage[]) => Promise<Delivery>,
): Promise<{ taken: number; settled: number }> {
  return db.transaction(async (tx) => {
    const rows = await tx
      .select()
      .from(outbox)
      .where(lte(outbox.dueAt, sql`now()`))
      .orderBy(outbox.id)
      .limit(limit)
      .for('update', { skipLocked: true });
    if (rows.length === 0) return { taken: 0, settled: 0 };
    const subjects = await findSubjects(tx, rows);
    const { delivered, refused } = await deliver(
      rows.map(({ id, kind, target, payload }) => {
        const subject = subjects.get(subjectId({ kind, payload }) ?? -1);
        return { id, kind, target, payload, ...(subject ? { subject } : {}) };
      }),
    );
    if (delivered.length > 0) await tx.delete(outbox).where(inArray(outbox.id, delivered));
    if (refused.length > 0) {
      const dueAt = sql`now() + ${refusedForSeconds} * interval '1 second'`;
      await tx.update(outbox).set({ dueAt }).where(inArray(outbox.id, refused));
    }
    return { taken: rows.length, settled: delivered.length + refused.length };
  });
}

type Row = Pick<typeof outbox.$inferSelect, 'kind' | 'payload'>;

function subjectId({ kind, payload }: Row): number | undefined {
  if (kind === 'startJob') return Number(payload['jobId']);
  return kind === 'startWorkflow' ? Number(payload['workflowId']) : undefined;
}

/** Jobs and workflows never share an id. */
async function findSubjects(tx: Transaction, rows: Row[]): Promise<Map<number, OutboxSubject>> {
  const find = async (kind: OutboxKind, table: typeof jobs | typeof workflows): Promise<OutboxSubject[]> => {
    const ids = rows.filter((row) => row.kind === kind).flatMap((row) => subjectId(row) ?? []);
    if (ids.length === 0) return [];
    const { id, owner, name, labels } = table;
    return tx.select({ id, owner, name, labels }).from(table).where(inArray(id, ids));
  };
  const found = [...(await find('startJob', jobs)), ...(await find('startWorkflow', workflows))];
  return new Map(found.map((subject) => [subject.id, subject]));
}

/**
 * A deletion found no execution that runs, though its subject has not ended: an operator terminated it, or Temporal lost
 * it. Jobs of workflows end with these. While a start is on its way, by another sender, nothing is missing.
 */
export async function isOrphaned(db: Database, { kind, target, payload }: OutboxMessage): Promise<boolean> {
  const [table, id] =
    kind === 'deleteJob' ? [jobs, Number(payload['jobId'])] : [workflows, Number(payload['workflowId'])];
  const [row] = await db.execute<{ isOrphaned: boolean }>(sql`
    select status in ('pending', 'running') ${kind === 'deleteJob' ? sql`and workflow_id is null` : sql``}
      and not exists (select 1 from outbox where target = ${target} and kind in ('startJob', 'startWorkflow')) as "isOrphaned"
    from ${table} where id = ${id}`);
  return row?.isOrphaned ?? false;
}

export async function notify(db: Database, channel: string): Promise<void> {
  await db.execute(sql`select pg_notify(${channel}, '')`);
}
