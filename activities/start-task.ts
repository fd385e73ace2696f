/** A launch of a task on its machine, started once whatever happens to who asks for it. */
import { currentRun, type RunFacts } from '../db/execution.ts';
import { findImage, forgetImage } from '../db/machines.ts';
import { benchmarkExitCode } from '../domain/benchmark.ts';
import type { LaunchAnswer, LaunchRef } from '../domain/job-messages.ts';
import { imageOfTask, ofAttempt, recordRunning, runRef, tokenSubject, type AttemptDependencies } from './attempt.ts';
import { ImageMissing } from './images.ts';
import { taskLaunch } from './launch.ts';

export function startTask(deps: AttemptDependencies): (ref: LaunchRef) => Promise<LaunchAnswer> {
  const { db } = deps;
  return ofAttempt(deps, async (ref) => {
    const run = await currentRun(db, ref);
    if (!run) return { kind: 'stale' };
    if (run.job.deleteRequestedAt) return { kind: 'deleted' };
    if (run.job.description.tasks[ref.taskIndex]!.runtime === 'benchmark') return benchmark(run, ref);
    const { machineId } = run;
    const image = await imageOf(run, ref);
    const refreshMinutes = ref.isPulled ? Infinity : deps.imageRefreshMinutes;
    const cached = image && (await findImage(db, machineId, image.imageKey, refreshMinutes));
    if (!image || !cached) return { kind: 'imageMissing' };
    const machine = await deps.machine(machineId);
    const started = await machine.startTask(
      runRef(deps, ref),
      taskLaunch(run.job.description, {
        jobId: ref.jobId,
        taskIndex: ref.taskIndex,
        retry: ref.retry,
        walltimeSeconds: ref.walltimeSeconds,
        killGraceSeconds: deps.killGraceSeconds,
        size: run.size,
        apiUrl: deps.apiUrl,
        token: await deps.jobToken(tokenSubject(run.job, ref.attempt), ref.walltimeSeconds),
        imageKey: image.imageKey,
        fileSha256: cached.fileSha256,
        logBytesPerStream: deps.logBytesPerStream,
        instance: {
          ...(run.job.workflowId === null ? {} : { workflowId: run.job.workflowId }),
          ...(run.job.parameters === null ? {} : { parameters: run.job.parameters }),
        },
      }),
    );
    if (started.kind === 'imageMissing') {
      await forgetImage(db, machineId, image.imageKey);
      return { kind: 'imageMissing' };
    }
    if (started.kind === 'killed') return { kind: 'killed' };
    await recordRunning(db, run, ref, new Date(started.startedAt * 1000));
    return { kind: 'started' };
  });

  /** Undefined: it is not there. The pull says what is missing, in its own words. */
  async function imageOf(run: RunFacts, ref: LaunchRef) {
    try {
      return await imageOfTask(deps, run, runRef(deps, ref), ref.taskIndex);
    } catch (error) {
      if (error instanceof ImageMissing) return undefined;
      throw error;
    }
  }

  /** Nothing runs, and all around it is real. */
  async function benchmark(run: RunFacts, ref: LaunchRef): Promise<LaunchAnswer> {
    const at = Date.now() / 1000;
    await recordRunning(db, run, ref, new Date(at * 1000));
    const exitCode = benchmarkExitCode(run.job.description.tasks[ref.taskIndex]!.cmd, ref.attempt);
    const ended = { cause: 'exited', startedAt: at, endedAt: at, cpuSeconds: 0, maxResidentSetSizeKb: 0 } as const;
    return { kind: 'finished', result: { exitCode, ...ended } };
  }
}
