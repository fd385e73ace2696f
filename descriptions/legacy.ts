/**
 * Input that older servers or the documentation knew (docs/wire.md 3.8), put into today's words before anything is
 * judged. What is not recognised stays as it is, for the rules to refuse. Documents are copied where they change.
 */
import { isObject, type JsonObject } from './reader.ts';

/** Members of answers that the client's `describe -i` leaves in what it prints, and users submit what it prints. */
const answered = {
  job: new Set([
    'statusReason',
    'statusDetail',
    'deletionRequested',
    'workflowId',
    'parameters',
    'preemptible',
    'notificationStates',
    'warnings',
  ]),
  workflow: new Set(['statusReason', 'statusDetail', 'deletionRequested', 'rerunOf', 'notificationStates', 'warnings']),
};

export function modernJob(document: JsonObject): JsonObject {
  return replaced(without(document, answered.job), {
    labels: modernLabels,
    resources: modernResources,
    tasks: each(modernTask),
    artifacts: each(modernArtifact),
    policies: modernPolicies,
  });
}

export function modernWorkflow(document: JsonObject): JsonObject {
  return replaced(withFactories(without(document, answered.workflow)), {
    labels: modernLabels,
    jobs: each((job) => (isObject(job) ? modernJob(job) : job)),
    factories: each(modernFactory),
  });
}

function withFactories(workflow: JsonObject): JsonObject {
  if (!isObject(workflow['factory']) || 'factories' in workflow) return workflow;
  const { factory, ...rest } = workflow;
  return { ...rest, factories: [oneFactory(factory as JsonObject, rest)] };
}

function without(document: JsonObject, keys: ReadonlySet<string>): JsonObject {
  if (![...keys].some((key) => Object.hasOwn(document, key))) return document;
  return Object.fromEntries(Object.entries(document).filter(([key]) => !keys.has(key)));
}

function replaced(object: JsonObject, modern: Record<string, (value: unknown) => unknown>): JsonObject {
  const present = Object.entries(modern).filter(([key]) => Object.hasOwn(object, key));
  if (present.length === 0) return object;
  return { ...object, ...Object.fromEntries(present.map(([key, change]) => [key, change(object[key])])) };
}

const each =
  (modern: (entry: unknown) => unknown) =>
  (list: unknown): unknown =>
    Array.isArray(list) ? list.map(modern) : list;

/** A list of `name=value`. */
function modernLabels(labels: unknown): unknown {
  if (!Array.isArray(labels)) return labels;
  const pairs = labels.map((label) => (typeof label === 'string' ? /^([^=]+)=(.*)$/s.exec(label) : null));
  if (pairs.some((pair) => pair === null)) return labels;
  return Object.fromEntries(pairs.map((pair) => [pair?.[1], pair?.[2]]));
}

/** The client's library always sends `cpus` 1 beside a range; the range is what was meant. */
function modernResources(resources: unknown): unknown {
  if (!isObject(resources) || resources['cpus'] !== 1) return resources;
  if (!Object.hasOwn(resources, 'cpusRange') && !Object.hasOwn(resources, 'cpusOptions')) return resources;
  const { cpus: _cpus, ...rest } = resources;
  return rest;
}

function modernTask(task: unknown): unknown {
  if (!isObject(task)) return task;
  const { workDir, args, ...rest } = task;
  return {
    ...rest,
    ...(workDir === undefined ? {} : 'workdir' in rest ? { workDir } : { workdir: workDir }),
    ...withArguments(rest['cmd'], args),
    ...(Object.hasOwn(task, 'runtime') ? {} : { runtime: usualRuntime(task['image']) }),
  };
}

/** Both are split like a shell line later, so joining them with a blank appends the words. */
function withArguments(cmd: unknown, args: unknown): JsonObject {
  if (args === undefined) return {};
  return typeof args === 'string' && typeof cmd === 'string' ? { cmd: `${cmd} ${args}` } : { args };
}

/** As the client chooses (docs/wire.md 3.4): Singularity could not run an image file of Docker. */
function usualRuntime(image: unknown): string {
  return typeof image === 'string' && /\.(tar|tgz)/.test(image) ? 'udocker' : 'singularity';
}

const modernArtifact = (artifact: unknown): unknown => (typeof artifact === 'string' ? { url: artifact } : artifact);

function modernPolicies(policies: unknown): unknown {
  return renamed(
    renamed(policies, 'ignoreTaskTailures', 'ignoreTaskFailures'),
    'maximumRetriesPerTask',
    'maximumTaskRetries',
  );
}

function modernFactory(factory: unknown): unknown {
  const modern = renamed(factory, 'num', 'number');
  return isObject(modern) && modern['type'] === 'parametricSweep' ? { ...modern, type: 'parameterSweep' } : modern;
}

/** The single factory of older servers was about all jobs and had no name. */
function oneFactory(factory: JsonObject, workflow: JsonObject): JsonObject {
  const jobs = Array.isArray(workflow['jobs']) ? workflow['jobs'] : [];
  const names = jobs.map((job) => (isObject(job) ? job['name'] : undefined)).filter((name) => typeof name === 'string');
  return { name: 'factory', jobs: names, ...factory };
}

function renamed(object: unknown, from: string, to: string): unknown {
  if (!isObject(object) || !Object.hasOwn(object, from) || Object.hasOwn(object, to)) return object;
  const { [from]: value, ...rest } = object;
  return { ...rest, [to]: value };
}
