/** Notifications from the end of a job or workflow to their own: what is to be told to whom, and what became of it. */
import { and, eq, sql } from 'drizzle-orm';
import type { Notification } from '../domain/description.ts';
import type { Ended, NotificationRef } from '../domain/notification.ts';
import { isTerminal } from '../domain/status.ts';
import type { Database, Sql } from './connection.ts';
import { findJob } from './execution.ts';
import { groupedBy } from './grouped.ts';
import { epoch } from './list-pages.ts';
import { notifications, workflows, type NotificationState } from './schema.ts';

export interface DueNotification {
  notification: Notification;
  /** The owner's address. */
  email: string | null;
  ended: Ended;
}

/** Undefined when there is no such notification, or nothing has ended. */
export async function findDue(
  db: Database,
  { about, id, position }: NotificationRef,
): Promise<DueNotification | undefined> {
  const found = about === 'job' ? await findJob(db, id) : await findWorkflow(db, id);
  const notification = found?.description.notifications[position];
  if (!found || !notification || !isTerminal(found.status) || found.endedAt === null) return undefined;
  const { uid, owner, name, labels, status, statusReason, statusDetail, createdAt, startedAt, endedAt } = found;
  const facts = { id, uid, owner, name, labels, status, statusReason, statusDetail, createdAt, startedAt, endedAt };
  return { notification, email: found.email, ended: { ...facts, ...particulars(found) } };
}

type StoredWorkflow = typeof workflows.$inferSelect;

function particulars(found: NonNullable<Awaited<ReturnType<typeof findJob>>> | StoredWorkflow) {
  if ('total' in found) {
    const { total, done, failed, skipped, deleted } = found;
    return { about: 'workflow' as const, counts: { total, done, failed, skipped, deleted } };
  }
  const { workflowId, parameters, execution, description } = found;
  const hasOutputs = description.outputFiles.length + description.outputDirs.length > 0;
  return { about: 'job' as const, workflowId, parameters, execution, hasOutputs };
}

async function findWorkflow(db: Database, id: number): Promise<StoredWorkflow | undefined> {
  const [row] = await db.select().from(workflows).where(eq(workflows.id, id)).limit(1);
  return row;
}

export async function stateOf(db: Database, ref: NotificationRef): Promise<NotificationState | undefined> {
  const [row] = await db.select({ state: notifications.state }).from(notifications).where(isAbout(ref));
  return row?.state;
}

/** What became of a notification so far. */
export interface NotificationFate {
  subjectId: number;
  position: number;
  state: NotificationState;
  attempts: number;
  /** Why the last attempt did not deliver it. */
  detail: string | null;
  /** Seconds since the epoch. */
  changedAt: number;
}

/** By their subjects: jobs and workflows alike, whose ids differ. Those of which there was no attempt yet are absent. */
export async function notificationFates(sql: Sql, subjectIds: number[]): Promise<Map<number, NotificationFate[]>> {
  if (subjectIds.length === 0) return new Map();
  const rows = await sql<NotificationFate[]>`
    select subject_id as "subjectId", position, state, attempts, detail, ${epoch(sql, 'changed_at')} as "changedAt"
    from notifications where subject_id = any(${subjectIds}::int[]) order by subject_id, position`;
  return groupedBy(rows, ({ subjectId }) => subjectId);
}

/** After each attempt. One that ends after the notification was given up only counts if it delivered it. */
export async function recordAttempt(
  db: Database,
  { id: subjectId, position }: NotificationRef,
  state: NotificationState,
  detail: string | null,
): Promise<void> {
  await db
    .insert(notifications)
    .values({ subjectId, position, state, detail, attempts: 1 })
    .onConflictDoUpdate({
      target: [notifications.subjectId, notifications.position],
      set: { state, detail, attempts: sql`${notifications.attempts} + 1`, changedAt: new Date() },
      setWhere: sql`${notifications.state} = 'retrying' or ${state} = 'delivered'`,
    });
}

/**
 * No more attempts are made; the reason of the last one is the reason.
 * @returns what it came to, for a delivery may have been recorded and not been heard of
 */
export async function giveUp(
  db: Database,
  ref: NotificationRef,
): Promise<{ state: NotificationState; detail: string | null }> {
  const { id: subjectId, position } = ref;
  const values = { subjectId, position, state: 'givenUp' as const, attempts: 0, detail: 'no attempt came to an end' };
  const [row] = await db
    .insert(notifications)
    .values(values)
    .onConflictDoUpdate({
      target: [notifications.subjectId, notifications.position],
      set: {
        state: sql`case when ${notifications.state} = 'delivered' then 'delivered' else 'givenUp' end`,
        changedAt: new Date(),
      },
    })
    .returning({ state: notifications.state, detail: notifications.detail });
  return row!;
}

const isAbout = ({ id, position }: NotificationRef) =>
  and(eq(notifications.subjectId, id), eq(notifications.position, position));
