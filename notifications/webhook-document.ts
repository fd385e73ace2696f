/** What a webhook is told: the same small document at every attempt. Sizes and moments are as in answers of the API. */
import type { NotificationEvent } from '../domain/description.ts';
import { exitCodes } from '../domain/job-outcome.ts';
import type { Ended, EndedJob, EndedWorkflow } from '../domain/notification.ts';
import { shownParameters } from '../domain/parameters.ts';
import { progressOf } from '../domain/workflow-progress.ts';

/** For `exactJson`. @param apiUrl with the version: `https://host/v1` */
export function webhookDocument(ended: Ended, apiUrl: string): Record<string, unknown> {
  const type: NotificationEvent = ended.about === 'job' ? 'jobFinished' : 'workflowFinished';
  return {
    type,
    timestamp: ended.endedAt.toISOString(),
    data: { ...commonData(ended, apiUrl), ...(ended.about === 'job' ? jobData(ended) : workflowData(ended)) },
  };
}

function commonData(ended: Ended, apiUrl: string): Record<string, unknown> {
  const { about, id, name, owner, labels, status, statusReason, statusDetail, createdAt, startedAt, endedAt } = ended;
  return {
    id,
    name,
    owner,
    labels,
    status,
    ...(statusReason ? { statusReason } : {}),
    ...(statusDetail ? { statusDetail } : {}),
    events: {
      createTime: epochSeconds(createdAt),
      ...(startedAt ? { startTime: epochSeconds(startedAt) } : {}),
      endTime: epochSeconds(endedAt),
    },
    url: `${apiUrl}/${about}s/${id}`,
  };
}

function jobData({ workflowId, parameters, execution }: EndedJob): Record<string, unknown> {
  return {
    ...(workflowId === null ? {} : { workflowId }),
    ...(parameters ? { parameters: shownParameters(parameters) } : {}),
    exitCodes: exitCodes(execution.tasks),
  };
}

function workflowData({ counts }: EndedWorkflow): Record<string, unknown> {
  return { progress: progressOf({ ...counts, queued: 0 }) };
}

const epochSeconds = (date: Date): number => Math.floor(date.getTime() / 1000);
