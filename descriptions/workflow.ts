/**
 * A workflow description: from whatever a client sent to one that can be trusted, or to what is wrong with it
 * (docs/wire.md 4). Never throws, and takes time in proportion to the document.
 */
import type { WorkflowDescription, WorkflowPolicies } from '../domain/workflow-description.ts';
import type { JobDescription } from '../domain/description.ts';
import { readDependencies } from './dependencies.ts';
import { readFactories } from './factories.ts';
import { issueList, type Issue } from './issues.ts';
import { readJob } from './job.ts';
import { readLabels } from './labels.ts';
import { modernWorkflow } from './legacy.ts';
import { limits } from './limits.ts';
import { readName } from './names.ts';
import { readNotifications } from './notifications.ts';
import { withWorkflowNumbers } from './numbers.ts';
import { readPlacement } from './policies.ts';
import { isObject, readObject, type JsonObject, type ObjectReader } from './reader.ts';
import { checkStorable } from './storable.ts';
import { flag, limited } from './values.ts';
import type { IssueList } from './issues.ts';

export type ParsedWorkflow =
  /** What was submitted has numbers as they were written (domain/exact-json.ts), where it was read so. */
  | { kind: 'valid'; description: WorkflowDescription; submitted: JsonObject }
  /** Never empty. The first is what clients are told. */
  | { kind: 'invalid'; issues: Issue[] };

export const workflowItems: ReadonlySet<string> = new Set([
  'name',
  'labels',
  'jobs',
  'dependencies',
  'factories',
  'policies',
  'notifications',
]);

export function parseWorkflowDescription(document: unknown): ParsedWorkflow {
  if (!isObject(document)) {
    return { kind: 'invalid', issues: [{ path: '', message: 'a workflow description must be a JSON object' }] };
  }
  const issues = issueList();
  const read = readObject(modernWorkflow(withWorkflowNumbers(document)), '', issues);
  read.onlyKeys(workflowItems, (key) => `invalid item "${key}" in workflow description`);
  const name = readName(read, 'workflow');
  const jobs = readJobs(read, issues);
  const names = readJobNames(read, jobs);
  const dependencies = readDependencies(read, names);
  const factories = readFactories(read, names);
  const policies = readWorkflowPolicies(read);
  const labels = readLabels(read);
  const notifications = readNotifications(read, 'workflowFinished');
  checkStorable(document, issues);
  const found = issues.ordered();
  if (found.length > 0) return { kind: 'invalid', issues: found };
  const description = {
    name,
    labels,
    jobs: jobs.map((job) => job.description),
    dependencies,
    factories,
    policies,
    notifications,
  };
  return { kind: 'valid', description, submitted: document };
}

interface ReadJob {
  index: number;
  hasName: boolean;
  description: JobDescription;
}

function readJobs(read: ObjectReader, issues: IssueList): ReadJob[] {
  if (!read.has('jobs')) {
    read.issue('jobs', 'a workflow must contain jobs');
    return [];
  }
  const entries = read.list('jobs', 'an array of jobs must be provided', limits.jobs) ?? [];
  return entries.flatMap((entry, index) => {
    if (!isObject(entry.value)) {
      read.issue(`jobs[${index}]`, 'each job must be an object');
      return [];
    }
    const description = readJob(entry.value, entry.path, issues);
    return [{ index, hasName: Object.hasOwn(entry.value, 'name'), description }];
  });
}

function readJobNames(read: ObjectReader, jobs: ReadJob[]): ReadonlySet<string> {
  const names = new Set<string>();
  for (const { index, hasName, description } of jobs) {
    const path = `jobs[${index}].name`;
    const { name } = description;
    if (!hasName) read.issue(path, 'all jobs must have names');
    else if (names.has(name)) {
      read.issue(path, `all jobs must have unique names: "${name}" is used more than once`);
    } else if (name === '') read.issue(path, 'names of jobs in workflows cannot be empty');
    names.add(name);
  }
  return names;
}

export const workflowPolicyItems: ReadonlySet<string> = new Set([
  'maximumRetries',
  'maximumReruns',
  'leaveInQueue',
  'placement',
]);

export const mostWorkflowRetries = 10;

function readWorkflowPolicies(workflow: ObjectReader): WorkflowPolicies {
  const none = { maximumRetries: 0, leaveInQueue: false };
  if (!workflow.has('policies')) return none;
  const read = workflow.object('policies', 'policies must be an object');
  if (!read) return none;
  read.onlyKeys(workflowPolicyItems, (key) => `invalid item "${key}" in policies`);
  const maximumRetries = read.field('maximumRetries', limited('number of retries', mostWorkflowRetries));
  // Accepted, and without effect: nothing ever was rerun by it.
  read.field('maximumReruns', limited('number of reruns', mostWorkflowRetries));
  const leaveInQueue = read.field('leaveInQueue', flag('leaveInQueue'));
  const placement = readPlacement(read);
  return {
    maximumRetries: maximumRetries ?? 0,
    leaveInQueue: leaveInQueue ?? false,
    ...(placement ? { placement } : {}),
  };
}
