/** What a stored job means for its execution and for its place in the queue. */
import type { JobRow } from '../db/execution.ts';
import type { QueuedCandidate } from '../db/placements.ts';
import { singleJobs } from '../domain/turns.ts';
import { abilitiesFor } from '../domain/abilities.ts';
import type { JobPlan } from '../domain/job-messages.ts';
import { waitsOut } from '../domain/queue-policy.ts';
import { acceptableSizes } from '../domain/resources.ts';
import { isUsed } from '../domain/mount.ts';

/** The configuration's part in it. */
export interface ExecutionSettings {
  defaultWalltimeMinutes: number;
  maximumMachineLosses: number;
}

/** What the workflow of a job needs to know of it. */
export function planOf(job: JobRow, settings: ExecutionSettings): JobPlan {
  const { description } = job;
  const sidecars = description.tasks.flatMap(({ type }, index) => (type === 'sidecar' ? [index] : []));
  const {
    maximumTimeInQueueMinutes,
    maximumRetries,
    maximumTaskRetries,
    ignoreTaskFailures,
    reportJobSuccessOnTaskFailure,
  } = description.policies;
  return {
    jobId: job.id,
    taskCount: description.tasks.length,
    ...(sidecars.length > 0 ? { sidecars } : {}),
    ...(description.storage && isUsed(description.storage) ? { hasStorage: true } : {}),
    hasArtifacts: description.artifacts.length > 0,
    hasOutputs: description.outputFiles.length + description.outputDirs.length > 0,
    walltimeSeconds: (description.resources.walltimeMinutes ?? settings.defaultWalltimeMinutes) * 60,
    ...(maximumTimeInQueueMinutes > 0 ? { queueSeconds: maximumTimeInQueueMinutes * 60 } : {}),
    maximumMachineLosses: settings.maximumMachineLosses,
    policies: { maximumRetries, maximumTaskRetries, ignoreTaskFailures, reportJobSuccessOnTaskFailure },
  };
}

export function candidateOf(job: JobRow, attempt: number): QueuedCandidate {
  const { resources, policies } = job.description;
  const { requirements, preferences } = policies.placement ?? { requirements: {}, preferences: {} };
  return {
    jobId: job.id,
    attempt,
    temporalId: job.temporalId,
    owner: job.owner,
    workflowId: job.workflowId ?? singleJobs,
    priority: policies.priority,
    waitsOut: waitsOut(policies, attempt),
    sizes: acceptableSizes(resources),
    sites: requirements.sites ?? [],
    regions: requirements.regions ?? [],
    preferredSites: preferences.sites ?? [],
    preferredRegions: preferences.regions ?? [],
    abilities: abilitiesFor(job.description),
  };
}
