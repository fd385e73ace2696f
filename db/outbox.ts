/** What Temporal has yet to be told. Rows are taken by whoever gets them first and go away only when they were delivered. */
import { inArray, sql } from 'drizzle-orm';
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

/**
 * Take up to `limit` messages, deliver them, and delete those that were delivered. The rows stay locked meanwhile: a
 * sender that dies gives them back at once. Returns how many were taken and how many are still to be sent again.
 */
export async function deliverBatch(
  db: Database,
  limit: number,
  deliver: (messages: OutboxMessage[]) => Promise<number[]>,
): Promise<{ taken: number; delivered: number }> {
  return db.transaction(async (tx) => {
    const rows = await tx.select().from(outbox).orderBy(outbox.id).limit(limit).for('update', { skipLocked: true });
    if (rows.length === 0) return { taken: 0, delivered: 0 };
    const subjects = await findSubjects(tx, rows);
    const delivered = await deliver(
      rows.map(({ id, kind, target, payload }) => {
        const subject = subjects.get(subjectId({ kind, payload }) ?? -1);
        return { id, kind, target, payload, ...(subject ? { subject } : {}) };
      }),
    );
    if (delivered.length > 0) await tx.delete(outbox).where(inArray(outbox.id, delivered));
    return { taken: rows.length, delivered: delivered.length };
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

export async function notify(db: Database, channel: string): Promise<void> {
  await db.execute(sql`select pg_notify(${channel}, '')`);
}
