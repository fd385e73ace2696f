/**
 * A job description: from whatever a client sent to a description that can be trusted, or to what is wrong with it.
 * Never throws, whatever the document is.
 */
import type { JobDescription } from '../domain/description.ts';
import { checkMeetingFiles, checkMeetingOutputs, readArtifacts, readInputs, readOutputs } from './files.ts';
import { issueList, type Issue, type IssueList } from './issues.ts';
import { readLabels } from './labels.ts';
import { modernJob } from './legacy.ts';
import { readName } from './names.ts';
import { readNotifications } from './notifications.ts';
import { withJobNumbers } from './numbers.ts';
import { readPolicies } from './policies.ts';
import { isObject, readObject, type JsonObject } from './reader.ts';
import { readResources } from './resources.ts';
import { checkStorable } from './storable.ts';
import { readStorage } from './storage.ts';
import { readTasks } from './tasks.ts';

export type ParsedJob =
  /** What was submitted has numbers as they were written (domain/exact-json.ts), where it was read so. */
  | { kind: 'valid'; description: JobDescription; submitted: JsonObject }
  /** Never empty. The first is what clients are told. */
  | { kind: 'invalid'; issues: Issue[] };

export const jobItems: ReadonlySet<string> = new Set([
  'name',
  'labels',
  'resources',
  'tasks',
  'artifacts',
  'outputFiles',
  'outputDirs',
  'inputs',
  'storage',
  'policies',
  'notifications',
]);

export function parseJobDescription(document: unknown): ParsedJob {
  const issues = issueList();
  if (!isObject(document)) {
    return { kind: 'invalid', issues: [{ path: '', message: 'a job description must be a JSON object' }] };
  }
  const description = readJob(modernJob(withJobNumbers(document)), '', issues);
  checkStorable(document, issues);
  const found = issues.ordered();
  return found.length === 0 ? { kind: 'valid', description, submitted: document } : { kind: 'invalid', issues: found };
}

/** The description is only good when no issue was added. */
export function readJob(document: JsonObject, path: string, issues: IssueList): JobDescription {
  const read = readObject(document, path, issues);
  read.onlyKeys(jobItems, (key) => `invalid item "${key}" in job description`);
  const name = readName(read, 'job');
  const labels = readLabels(read);
  const resources = readResources(read) ?? { nodes: 1, diskGb: 1 };
  const tasks = readTasks(read, resources.cpus);
  const artifacts = readArtifacts(read);
  const outputFiles = readOutputs(read, 'outputFiles');
  const outputDirs = readOutputs(read, 'outputDirs');
  const inputs = readInputs(read);
  checkMeetingFiles(read, artifacts, inputs);
  const storage = readStorage(read);
  checkMeetingOutputs(read, { artifacts, outputFiles, outputDirs, ...(storage ? { storage } : {}) });
  const policies = readPolicies(read);
  const notifications = readNotifications(read, 'jobFinished');
  return {
    name,
    labels,
    resources,
    tasks,
    artifacts,
    inputs,
    outputFiles,
    outputDirs,
    policies,
    notifications,
    ...(storage ? { storage } : {}),
  };
}
