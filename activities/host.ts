/**
 * What a job needs done on its machine. Each activity first asks whether its attempt still counts, and may be repeated:
 * the machine finds what an earlier call left. URLs and credentials are made here and never travel through Temporal.
 */
import { currentRun } from '../db/execution.ts';
import type {
  AttemptRef,
  LaunchAnswer,
  LaunchRef,
  PullAnswer,
  StageInAnswer,
  StageOutAnswer,
} from '../domain/job-messages.ts';
import { ofAttempt, runRef, type AttemptDependencies } from './attempt.ts';
import { pullImage } from './pull-image.ts';
import { stageIn } from './stage-in.ts';
import { stageOut } from './stage-out.ts';
import { startTask } from './start-task.ts';

export interface HostActivities {
  stageIn(ref: AttemptRef): Promise<StageInAnswer>;
  pullImage(ref: AttemptRef & { taskIndex: number }): Promise<PullAnswer>;
  startTask(ref: LaunchRef): Promise<LaunchAnswer>;
  killRun(ref: AttemptRef & { keepStorage?: true }): Promise<void>;
  stageOut(ref: AttemptRef): Promise<StageOutAnswer>;
}

export function createHostActivities(deps: AttemptDependencies): HostActivities {
  return {
    stageIn: stageIn(deps),
    pullImage: pullImage(deps),
    startTask: startTask(deps),
    killRun: ofAttempt(deps, async (ref: AttemptRef & { keepStorage?: true }) => {
      const run = await currentRun(deps.db, ref);
      if (!run) return;
      const machine = await deps.machine(run.machineId);
      const mount = ref.keepStorage ? 'keepMount' : 'endMount';
      await machine.killRun(runRef(deps, ref), deps.killGraceSeconds, mount);
    }),
    stageOut: stageOut(deps),
  };
}
