/** The image of a task, in the cache of its machine. */
import { Context } from '@temporalio/activity';
import { recordImage } from '../db/machines.ts';
import { imageObject } from '../descriptions/object-names.ts';
import type { AttemptRef, PullAnswer } from '../domain/job-messages.ts';
import { ImageError } from '../hosts/machine.ts';
import { imageOfTask, ofCurrentAttempt, recordRunning, runRef, type AttemptDependencies } from './attempt.ts';
import { imageIsAway } from './guarded.ts';
import { ImageMissing } from './images.ts';

/** Of a source that may do better the next time. */
const pullAttempts = 3;

export function pullImage(deps: AttemptDependencies): (ref: AttemptRef & { taskIndex: number }) => Promise<PullAnswer> {
  const { db } = deps;
  return ofCurrentAttempt(deps, async (run, ref, budget) => {
    await recordRunning(db, run, ref, new Date());
    try {
      const image = await imageOfTask(deps, run, runRef(deps, ref), ref.taskIndex);
      const machine = await deps.machine(run.machineId);
      const pulled = await machine.pullImage(image, Context.current().cancellationSignal);
      const { fileSha256, digest, sizeBytes, status, seconds } = pulled;
      const { imageKey } = image;
      const record = { machineId: run.machineId, imageKey, fileSha256, digest: digest ?? null, size: sizeBytes };
      await recordImage(db, record);
      return {
        kind: 'pulled',
        image: {
          imagePullStatus: status,
          imageSha256: fileSha256,
          ...(status === 'completed' ? { imagePullTime: seconds } : {}),
          ...(digest ? { imageDigest: digest } : {}),
        },
      };
    } catch (error) {
      if (error instanceof ImageMissing) return { kind: 'failed', detail: error.message };
      if (!(error instanceof ImageError)) throw error;
      const isUploaded = imageObject(run.job.description.tasks[ref.taskIndex]!.image) !== undefined;
      const isWorthATry = () => (isUploaded ? budget.mayWaitForStore() : budget.count('pull') < pullAttempts);
      if (error.code === 'transient' && isWorthATry()) throw imageIsAway(error.message);
      return { kind: 'failed', detail: error.message };
    }
  });
}
