/** A workflow as clients see it (docs/wire.md 6), and its graph. */
import { warningsOfWorkflow } from '../descriptions/templates.ts';
import type { DetailedWorkflow, ListedWorkflow, WorkflowStep } from '../db/workflow-listing.ts';
import { isTerminal } from '../domain/status.ts';
import { progressOf } from '../domain/workflow-progress.ts';
import { notificationStates } from './notification-view.ts';
import { maskedFactories, maskedJob, maskedNotifications } from './masking.ts';

export function workflowListView(workflow: ListedWorkflow): Record<string, unknown> {
  const { id, name, status, statusReason, total, counts, deleted } = workflow;
  return {
    id,
    name,
    status,
    ...(statusReason ? { statusReason } : {}),
    ...(isBeingDeleted(workflow) ? { deletionRequested: true } : {}),
    events: {
      createTime: workflow.createdAt,
      ...(workflow.startedAt === null ? {} : { startTime: workflow.startedAt }),
      ...(workflow.endedAt === null ? {} : { endTime: workflow.endedAt }),
    },
    progress: progressOf({ total, ...counts, deleted }),
  };
}

/** A document made from an earlier answer has more, which is not about this workflow. */
const echoed = new Set(['dependencies', 'factory', 'policies']);

/** What was submitted, and what became of it. */
export function workflowDetailView(workflow: DetailedWorkflow): Record<string, unknown> {
  const { submitted, labels, statusDetail, rerunOf } = workflow;
  const { jobs } = submitted;
  const warnings = warningsOfWorkflow(submitted);
  const detail = isBeingDeleted(workflow) ? 'Deletion was requested and is under way' : statusDetail;
  return {
    ...Object.fromEntries(Object.entries(submitted).filter(([key]) => echoed.has(key))),
    ...('factories' in submitted ? { factories: maskedFactories(submitted['factories']) } : {}),
    ...('notifications' in submitted ? { notifications: maskedNotifications(submitted['notifications']) } : {}),
    ...('labels' in submitted ? { labels } : {}),
    jobs: Array.isArray(jobs) ? jobs.map(maskedJob) : jobs,
    ...workflowListView(workflow),
    ...(detail ? { statusDetail: detail } : {}),
    ...(warnings.length > 0 ? { warnings } : {}),
    ...(rerunOf === null ? {} : { rerunOf }),
    ...notificationStates(workflow.notifications),
  };
}

/** Steps with the states of their instances, edges by the names of jobs. */
export function graphView(steps: WorkflowStep[]): Record<string, unknown> {
  const names = new Map(steps.map(({ step, name }) => [step, name]));
  return {
    nodes: steps.map(({ name, count, firstJobId, counts: { done, failed, queued, skipped, leftOut } }) => ({
      name,
      count,
      firstJobId,
      progress: {
        ...{ total: count, done, failed, queued, skipped, leftOut },
        waiting: count - done - failed - queued - skipped - leftOut,
      },
    })),
    edges: steps.flatMap((child) =>
      child.parents.map((parent) => ({ parent: names.get(parent), child: names.get(child.step) })),
    ),
  };
}

const isBeingDeleted = (workflow: ListedWorkflow): boolean =>
  workflow.deleteRequestedAt !== null && !isTerminal(workflow.status);
