/** Captured output as it arrives from machines. Pieces may repeat or overlap; readers order them by offset. */
import { and, eq, sql } from 'drizzle-orm';
import type { Database } from './connection.ts';
import { jobLogs } from './schema.ts';

export interface LogPiece {
  jobId: number;
  attempt: number;
  node: number;
  stream: 'stdout' | 'stderr';
  offset: number;
  bytes: Buffer;
}

export async function appendLogs(db: Database, pieces: LogPiece[]): Promise<void> {
  if (pieces.length === 0) return;
  await db
    .insert(jobLogs)
    .values(pieces.map((piece) => ({ ...piece, length: piece.bytes.length })))
    .onConflictDoNothing();
}

/** Where to go on reading: the end of what is stored. */
export async function storedLength(
  db: Database,
  run: { jobId: number; attempt: number; node: number },
  stream: 'stdout' | 'stderr',
): Promise<number> {
  const [row] = await db
    .select({ end: sql<string | null>`max(${jobLogs.offset} + ${jobLogs.length})` })
    .from(jobLogs)
    .where(
      and(
        eq(jobLogs.jobId, run.jobId),
        eq(jobLogs.attempt, run.attempt),
        eq(jobLogs.node, run.node),
        eq(jobLogs.stream, stream),
      ),
    );
  return Number(row?.end ?? 0);
}
