/** A job as clients see it (docs/wire.md 6). */
import type { DetailedJob, JobAttempt, JobOutput, ListedJob } from '../db/job-listing.ts';
import { warningsOfJob } from '../descriptions/templates.ts';
import { substitute } from '../domain/instance.ts';
import { shownParameters } from '../domain/parameters.ts';
import { isTerminal } from '../domain/status.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { unavailable } from './errors.ts';
import { notificationStates } from './notification-view.ts';
import { isObject, maskedNotifications, maskedStorage, maskedTasks } from './masking.ts';

const urlSeconds = 24 * 3600;

export function listView(job: ListedJob): Record<string, unknown> {
  return {
    id: job.id,
    name: job.name,
    ...(job.workflowId === null ? {} : { workflowId: job.workflowId }),
    status: job.status,
    ...(job.statusReason ? { statusReason: job.statusReason } : {}),
    ...(isBeingDeleted(job) ? { deletionRequested: true } : {}),
    ...(job.parameters ? { parameters: shownParameters(job.parameters) } : {}),
    tasks: maskedTasks(job.tasks),
    events: events(job),
  };
}

/**
 * Each is made when its turn has come: the URLs of many outputs are long. They are made at each call and never stored.
 * @throws ApiError 503
 */
export async function detailViews(
  jobs: DetailedJob[],
  store: ObjectStore,
): Promise<Iterable<Promise<Record<string, unknown>>>> {
  const outputs = await Promise.all(jobs.map((job) => Promise.all(job.outputs.map((output) => sized(output, store)))));
  return (function* () {
    for (const [i, job] of jobs.entries()) yield detailView({ ...job, outputs: outputs[i]! }, store);
  })();
}

async function detailView(job: DetailedJob, store: ObjectStore): Promise<Record<string, unknown>> {
  const { submitted } = job;
  const detail = statusDetail(job);
  const warnings = job.parameters ? warningsOfJob(submitted, Object.keys(job.parameters)) : [];
  return {
    ...listView(job),
    ...(detail ? { statusDetail: detail } : {}),
    ...(warnings.length > 0 ? { warnings } : {}),
    resources: withNodes(submitted['resources']),
    ...echoed(submitted, ['policies', 'artifacts', 'inputs']),
    ...('notifications' in submitted ? { notifications: maskedNotifications(submitted['notifications']) } : {}),
    ...notificationStates(job.notifications),
    ...('labels' in submitted ? { labels: job.labels } : {}),
    ...('storage' in submitted ? { storage: maskedStorage(submitted['storage']) } : {}),
    ...('outputFiles' in submitted ? { outputFiles: await outputViews(job, 'outputFiles', 'file', store) } : {}),
    ...('outputDirs' in submitted ? { outputDirs: await outputViews(job, 'outputDirs', 'directory', store) } : {}),
    ...executionView(job),
  };
}

function events(job: ListedJob): Record<string, number> {
  return {
    createTime: job.createdAt,
    ...(job.startedAt === null ? {} : { startTime: job.startedAt }),
    ...(job.endedAt === null ? {} : { endTime: job.endedAt }),
  };
}

/** The state stays what it is until execution has really ended the job; that it is on its way is told beside it. */
const isBeingDeleted = (job: ListedJob): boolean => job.deleteRequestedAt !== null && !isTerminal(job.status);

function statusDetail(job: DetailedJob): string | null {
  return isBeingDeleted(job) ? 'Deletion was requested and is under way' : job.statusDetail;
}

function echoed(submitted: Record<string, unknown>, keys: string[]): Record<string, unknown> {
  return Object.fromEntries(keys.filter((key) => key in submitted).map((key) => [key, submitted[key]]));
}

function withNodes(resources: unknown): unknown {
  if (!isObject(resources) || 'totalCpusRange' in resources) return resources;
  return { nodes: 1, ...resources };
}

/**
 * Every name that was asked for, also while there is nothing yet: clients rely on both members being there, and put
 * the parameters into the name themselves.
 */
async function outputViews(
  job: DetailedJob,
  field: 'outputFiles' | 'outputDirs',
  kind: JobOutput['kind'],
  store: ObjectStore,
): Promise<unknown> {
  const names = job.submitted[field];
  if (!Array.isArray(names)) return [];
  const outputs = new Map<unknown, JobOutput>();
  for (const output of job.outputs) if (output.kind === kind) outputs.set(output.name, output);
  return Promise.all(
    names.map(async (name: unknown) => {
      const stored = job.parameters && typeof name === 'string' ? substitute(name, job.parameters) : name;
      const output = outputs.get(stored);
      if (!output || output.size === null) return { name, url: '' };
      const url = await store.presignGet(output.key, urlSeconds);
      return { name, url, size: output.size, ...(wasCutOff(job) ? { partial: true } : {}) };
    }),
  );
}

/** Its outputs are what there was when it was ended, and it may have had more to do. */
const wasCutOff = ({ status }: ListedJob): boolean => status === 'killed' || status === 'deleted';

/** Still without a size: the job was going to put it there itself, and has not. @throws ApiError 503 */
async function sized(output: JobOutput, store: ObjectStore): Promise<JobOutput> {
  if (output.size !== null) return output;
  try {
    return { ...output, size: (await store.head(output.key))?.sizeBytes ?? null };
  } catch (error) {
    throw unavailable('The object store does not answer at the moment, please try again', error);
  }
}

function executionView(job: DetailedJob): { execution?: Record<string, unknown> } {
  const { execution, attempts } = job;
  const hasRun = job.startedAt !== null || execution.tasks.length > 0 || Object.keys(execution).length > 1;
  if (!hasRun && attempts.length === 0) return {};
  return {
    execution: {
      ...execution,
      runtimeVersion: execution.runtimeVersion ?? {},
      ...(attempts.length > 1 ? { attempts: attempts.map(attemptView) } : {}),
    },
  };
}

function attemptView(attempt: JobAttempt): Record<string, unknown> {
  const { jobId: _jobId, ...facts } = attempt;
  return Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== null));
}
