/** The user's own storage of a job: mounted for its run before anything else is done there, and ended after all else. */
import { ApplicationFailure } from '@temporalio/common';
import { Context } from '@temporalio/activity';
import { oneclientOptions } from '../descriptions/oneclient-options.ts';
import type { Storage } from '../domain/description.ts';
import type { AttemptRef, MountAnswer, UnmountAnswer } from '../domain/job-messages.ts';
import type { MountRequest } from '../hosts/machine.ts';
import { ofCurrentAttempt, recordRunning, runRef, type AttemptDependencies } from './attempt.ts';

export interface MountActivities {
  mountStorage(ref: AttemptRef): Promise<MountAnswer>;
  unmountStorage(ref: AttemptRef): Promise<UnmountAnswer>;
}

export function createMountActivities(deps: AttemptDependencies): MountActivities {
  return {
    mountStorage: ofCurrentAttempt(deps, async (run, ref: AttemptRef) => {
      await recordRunning(deps.db, run, ref, new Date());
      const { storage } = deps.sealing.open(run.job.description);
      if (!storage) throw ApplicationFailure.nonRetryable(`job ${ref.jobId} has no storage`, 'Unexpected');
      const machine = await deps.machine(run.machineId);
      const request = mountRequest(storage, deps.b2dropUrl);
      return machine.mount(runRef(deps, ref), request, Context.current().cancellationSignal);
    }),

    unmountStorage: ofCurrentAttempt(deps, async (run, ref: AttemptRef) => {
      const machine = await deps.machine(run.machineId);
      const { cancellationSignal } = Context.current();
      return machine.unmount(runRef(deps, ref), deps.storagePatienceSeconds, cancellationSignal);
    }),
  };
}

/** @param storage opened */
function mountRequest(storage: Storage, b2dropUrl: string): MountRequest {
  const { directory } = storage;
  switch (storage.type) {
    case 'webdav':
      return { kind: 'webdav', directory, ...storage.webdav };
    case 'b2drop': {
      const { 'app-username': username, 'app-password': password } = storage.b2drop;
      return { kind: 'webdav', directory, url: b2dropUrl, username, password };
    }
    case 'onedata': {
      const { provider, token, options = '' } = storage.onedata;
      return { kind: 'onedata', directory, provider, token, options: oneclientOptions(options) ?? [] };
    }
  }
}
