/** The activities as workflows call them: which queue, how long, how often again. Types only: no activity code is bundled. */
import * as sdk from '@temporalio/workflow';
import { taskQueues } from '../domain/queues.ts';
import { isUnencrypted } from '../temporal/unencrypted.ts';
import type { CallActivities, CallRecordActivities } from '../activities/calls.ts';
import type { DagActivities } from '../activities/dag.ts';
import type { HostActivities } from '../activities/host.ts';
import type { MachineActivities } from '../activities/machine.ts';
import type { NotificationActivities } from '../activities/notifications.ts';
import type { RecordActivities } from '../activities/records.ts';
import type { MountActivities } from '../activities/mounts.ts';

type Activities<T> = sdk.ActivityInterfaceFor<T>;

const proxyActivities = <T extends object>(options: sdk.ActivityOptions): Activities<T> =>
  askedAgain(sdk.proxyActivities<T>(options));
const proxyLocalActivities = <T extends object>(options: sdk.LocalActivityOptions): Activities<T> =>
  askedAgain(sdk.proxyLocalActivities<T>(options));

/** An answer that did not come encrypted is not of our workers: it is asked for anew. A repeat finds what was done. */
function askedAgain<T>(activities: Activities<T>): Activities<T> {
  type Ask = (...args: unknown[]) => Promise<unknown>;
  const asking =
    (ask: Ask): Ask =>
    async (...args) => {
      for (;;) {
        const answer = await ask(...args);
        if (!isUnencrypted(answer)) return answer;
        sdk.log.warn('an answer that did not come encrypted was dropped');
      }
    };
  return new Proxy(activities as object, {
    get: (target, name) => asking((target as Record<PropertyKey, Ask>)[name]!),
  }) as Activities<T>;
}

/** Short database work, done inside the workflow task: half the cost of an activity. Retried until the database answers. */
export const records = proxyLocalActivities<RecordActivities>({
  startToCloseTimeout: '10 seconds',
  retry: { initialInterval: '200 milliseconds', backoffCoefficient: 2, maximumInterval: '5 seconds' },
});

/** The same for workflows of users. */
export const dags = proxyLocalActivities<
  Pick<DagActivities, 'openDag' | 'releaseSteps' | 'releaseNodes' | 'openShard' | 'gather' | 'endDag'>
>({
  startToCloseTimeout: '10 seconds',
  retry: { initialInterval: '200 milliseconds', backoffCoefficient: 2, maximumInterval: '5 seconds' },
});

/** Writes about as many rows as a workflow has jobs: minutes for the largest. What was done is found by a repeat. */
export const dagRows = proxyActivities<Pick<DagActivities, 'expandDag' | 'closeJobs'>>({
  taskQueue: taskQueues.workflows,
  startToCloseTimeout: '1 hour',
  heartbeatTimeout: '20 seconds',
  retry: { initialInterval: '200 milliseconds', backoffCoefficient: 2, maximumInterval: '5 seconds' },
});

const hostRetry = { initialInterval: '1 second', backoffCoefficient: 2, maximumInterval: '15 seconds' } as const;

/** Starting and killing: seconds of work, repeated until the machine answers or is given up by its follower. */
export const hosts = proxyActivities<Pick<HostActivities, 'startTask' | 'killRun'>>({
  taskQueue: taskQueues.hosts,
  startToCloseTimeout: '10 minutes',
  // A worker that dies in the middle is noticed by this, not by the long end.
  heartbeatTimeout: '10 seconds',
  retry: hostRetry,
});

/** What users ask of running jobs: somebody waits for it, so it is given up soon where no worker or machine answers. */
export const calls = proxyActivities<CallActivities>({
  taskQueue: taskQueues.calls,
  scheduleToCloseTimeout: '5 minutes',
  heartbeatTimeout: '10 seconds',
  cancellationType: 'TRY_CANCEL',
  retry: hostRetry,
});

export const callRecords = proxyLocalActivities<CallRecordActivities>({
  startToCloseTimeout: '10 seconds',
  retry: { initialInterval: '200 milliseconds', backoffCoefficient: 2, maximumInterval: '5 seconds' },
});

/** Moving data: may take long, heartbeats, can be ended at once. */
export const transfers = proxyActivities<MountActivities & Pick<HostActivities, 'stageIn' | 'pullImage' | 'stageOut'>>({
  taskQueue: taskQueues.transfers,
  startToCloseTimeout: '6 hours',
  // What takes that long twice is not going to work; the job says so.
  scheduleToCloseTimeout: '13 hours',
  heartbeatTimeout: '20 seconds',
  cancellationType: 'TRY_CANCEL',
  retry: hostRetry,
});

/** The one long activity of a machine. A dead worker is noticed by the heartbeat, and another takes over. */
export const machines = proxyActivities<MachineActivities>({
  taskQueue: taskQueues.machines,
  startToCloseTimeout: '1 day',
  heartbeatTimeout: '12 seconds',
  cancellationType: 'WAIT_CANCELLATION_COMPLETED',
  retry: { initialInterval: '500 milliseconds', backoffCoefficient: 1.5, maximumInterval: '5 seconds' },
});

/** For more than a day, at the end once an hour: a mail server may be away for a night, an address for longer is gone. */
export const notifications = proxyActivities<Pick<NotificationActivities, 'notify'>>({
  taskQueue: taskQueues.notifications,
  startToCloseTimeout: '2 minutes',
  scheduleToCloseTimeout: '30 hours',
  retry: { initialInterval: '2 seconds', backoffCoefficient: 2, maximumInterval: '1 hour' },
});

export const notificationRecords = proxyActivities<Pick<NotificationActivities, 'giveUpNotifying'>>({
  taskQueue: taskQueues.notifications,
  startToCloseTimeout: '10 seconds',
  retry: { initialInterval: '200 milliseconds', backoffCoefficient: 2, maximumInterval: '1 minute' },
});
