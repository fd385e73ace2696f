/**
 * One connection's worth of following a machine. Any call may throw HostError: then the caller connects anew.
 *
 * The end of a task reaches us in two ways: its supervisor wakes the watch by a signal, within milliseconds, and all run
 * directories are looked at every few seconds anyway. Neither is relied on alone. What is on the machine and has no
 * placement is removed: so nothing has to be cleaned up by the job itself, and what a crash left goes the same way.
 */
import type { Database } from '../db/connection.ts';
import { recordTruncation } from '../db/execution.ts';
import { appendLogs, storedLength } from '../db/logs.ts';
import { activeRuns, type ActiveRun } from '../db/machines.ts';
import { runToken, type RunRef } from '../domain/runs.ts';
import { HostError } from '../hosts/host.ts';
import type { MachineWatch, ObservedRun } from '../hosts/machine.ts';
import type { Signals } from './signals.ts';

export interface FollowerDependencies {
  db: Database;
  signals: Signals;
  machineId: number;
  watch: MachineWatch;
  logBytesPerStream: number;
  log: { warn(data: object, message: string): void };
}

/** With work there, a look this often catches what no wake-up told; without work, seldom. */
const busyMilliseconds = 1000;
const idleMilliseconds = 2000;
const seenEveryMilliseconds = 5000;
const pieceBytes = 262_144;
/** Of one stream in one round: a job that floods its output must not keep the ends of others waiting. */
const piecesPerRound = 8;

export class Follower {
  private readonly deps: FollowerDependencies;
  /** How far each stream was copied; read from the store when a run is seen first. */
  private readonly copied = new Map<string, number>();
  /** Launches whose end was told, by run. */
  private readonly told = new Map<string, Set<number>>();
  /** Something is there to be copied still. */
  private hasMore = false;
  /** What was last said of runs that could not be removed. */
  private complaint: string | undefined;

  constructor(deps: FollowerDependencies) {
    this.deps = deps;
  }

  /** Goes on until cancelled, the shift ends, the machine is removed (`stillWanted` says no) or the connection breaks. */
  async follow(signal: AbortSignal, end: number, stillWanted: () => Promise<boolean>): Promise<void> {
    const { watch } = this.deps;
    let seen = Date.now();
    let isGone = false;
    void watch.ended.then(() => (isGone = true));
    const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    while (!signal.aborted && Date.now() < end) {
      const busy = await this.round();
      if (Date.now() - seen > seenEveryMilliseconds) {
        seen = Date.now();
        if (!(await stillWanted())) return;
      }
      if (!this.hasMore) await Promise.race([watch.waitForChange(busy ? busyMilliseconds : idleMilliseconds), aborted]);
      if (isGone) throw new HostError('unreachable', 'the watch on the machine ended');
    }
  }

  /** One look at everything there. Returns whether anything is claimed here. */
  async round(): Promise<boolean> {
    const { db, watch, machineId } = this.deps;
    // In this order: a run seen now was granted before, so what has no claim after is left over.
    this.hasMore = false;
    const observed = await watch.list();
    const claimed = new Map((await activeRuns(db, machineId)).map((run) => [`${run.jobId}.${run.attempt}`, run]));
    const leftOver: RunRef[] = [];
    await Promise.all(
      observed.map(async (seen) => {
        const claim = claimed.get(`${seen.run.jobId}.${seen.run.attempt}`);
        if (claim) await this.attend(seen, claim);
        else leftOver.push(seen.run);
      }),
    );
    if (leftOver.length > 0) {
      await this.clear(leftOver);
      for (const run of leftOver) this.forget(runToken(run));
    }
    return claimed.size > 0;
  }

  /** What can't be removed is tried again in each round, and keeps nothing else from being done. */
  private async clear(leftOver: RunRef[]): Promise<void> {
    try {
      await this.deps.watch.remove(leftOver);
    } catch (error) {
      if (error instanceof HostError) throw error;
      const { message } = error as Error;
      if (message !== this.complaint)
        this.deps.log.warn({ machineId: this.deps.machineId, error: message }, 'some runs are left');
      this.complaint = message;
    }
  }

  close(): void {
    this.deps.watch.close();
  }

  private async attend(seen: ObservedRun, claim: ActiveRun): Promise<void> {
    const isWhole = [
      await this.copy(seen.run, 'stdout', seen.stdoutBytes),
      await this.copy(seen.run, 'stderr', seen.stderrBytes),
    ];
    // An end is told when everything that was written before it is there to be read.
    if (isWhole.includes(false)) {
      this.hasMore = true;
      return;
    }
    const token = runToken(seen.run);
    const told = this.told.get(token) ?? new Set<number>();
    this.told.set(token, told);
    const { attempt } = claim;
    for (const task of seen.tasks) {
      if (task.state === 'running' || told.has(task.launchNumber)) continue;
      if (task.state === 'finished') {
        await this.deps.signals.taskFinished(claim.temporalId, {
          attempt,
          launch: task.launchNumber,
          result: task.result,
        });
      } else {
        await this.deps.signals.runLost(claim.temporalId, { attempt, cause: 'taskLost', detail: task.detail });
      }
      told.add(task.launchNumber);
    }
  }

  /** Copy some of what is new, up to the cap; then say once that there was more. Returns whether that was all. */
  private async copy(run: RunRef, stream: 'stdout' | 'stderr', bytesThere: number): Promise<boolean> {
    const { db, watch, logBytesPerStream } = this.deps;
    const key = `${runToken(run)} ${stream}`;
    let offset = this.copied.get(key);
    if (offset === undefined) {
      if (bytesThere === 0) return true;
      offset = await storedLength(db, run, stream);
    }
    const { jobId, attempt, node } = run;
    const end = Math.min(bytesThere, logBytesPerStream);
    for (let piece = 0; offset < end; piece += 1) {
      if (piece === piecesPerRound) {
        this.copied.set(key, offset);
        return false;
      }
      const wanted = Math.min(pieceBytes, bytesThere - offset, logBytesPerStream - offset);
      const bytes = await watch.read(run, stream, offset, wanted);
      if (bytes.length === 0) break;
      await appendLogs(db, [{ jobId, attempt, node, stream, offset, bytes }]);
      offset += bytes.length;
    }
    if (bytesThere > logBytesPerStream && offset === logBytesPerStream) {
      const notice = Buffer.from(`\n[prominence: ${stream} was cut here, after ${logBytesPerStream} bytes]\n`);
      await appendLogs(db, [{ jobId, attempt, node, stream, offset, bytes: notice }]);
      await recordTruncation(db, { jobId, attempt }, stream);
      offset += notice.length;
    }
    this.copied.set(key, offset);
    return true;
  }

  private forget(token: string): void {
    this.told.delete(token);
    this.copied.delete(`${token} stdout`);
    this.copied.delete(`${token} stderr`);
  }
}
