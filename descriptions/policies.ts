/** How a job is treated: retries, queueing, placement (docs/wire.md 3.7). */
import * as v from 'valibot';
import type { JobPolicies, PlacementFilter } from '../domain/description.ts';
import type { ObjectReader } from './reader.ts';
import { flag, isWhole, limited, wholeNumber } from './values.ts';

export const policyItems: ReadonlySet<string> = new Set([
  'runSerialTasksOnAllNodes',
  'leaveInQueue',
  'placement',
  'ignoreTaskFailures',
  'reportJobSuccessOnTaskFailure',
  'priority',
  'autoScalingType',
  'maximumRetries',
  'maximumTaskRetries',
  'maximumTimeInQueue',
  'maximumIdleTimePerResource',
  'preemptible',
]);

/** 31 days. */
export const longestMinutes = 44_640;
export const highestPriority = 2_147_483_647;
/** Of a job, and of its tasks in place. */
export const mostRetries = 6;

export const defaultPolicies: JobPolicies = {
  maximumRetries: 0,
  maximumTaskRetries: 0,
  maximumTimeInQueueMinutes: 0,
  maximumIdleTimePerResourceMinutes: 0,
  leaveInQueue: false,
  ignoreTaskFailures: false,
  reportJobSuccessOnTaskFailure: false,
  runSerialTasksOnAllNodes: false,
  priority: 0,
};

export function readPolicies(job: ObjectReader): JobPolicies {
  if (!job.has('policies')) return { ...defaultPolicies };
  const read = job.object('policies', 'policies must be an object');
  if (!read) return { ...defaultPolicies };
  read.onlyKeys(policyItems, (key) => `invalid item "${key}" in policies`);

  const runSerialTasksOnAllNodes = read.field('runSerialTasksOnAllNodes', flag('runSerialTasksOnAllNodes'));
  const leaveInQueue = read.field('leaveInQueue', flag('leaveInQueue'));
  const placement = readPlacement(read);
  const ignoreTaskFailures = read.field('ignoreTaskFailures', flag('ignoreTaskFailures'));
  const reportSuccess = read.field('reportJobSuccessOnTaskFailure', flag('reportJobSuccessOnTaskFailure'));
  const priority = read.field('priority', wholeNumber('the priority must be an integer'));
  if (priority !== undefined && priority > highestPriority) {
    read.ownIssue('priority', `the priority must be at most ${highestPriority}`);
  }
  const autoScalingType = read.field('autoScalingType', autoScaling);
  const maximumRetries = read.field('maximumRetries', limited('number of retries', mostRetries));
  const maximumTaskRetries = read.field(
    'maximumTaskRetries',
    limited('number of retries', mostRetries, 'number of task retries'),
  );
  const timeInQueue = read.field('maximumTimeInQueue', queueTime);
  const idleTime = read.field('maximumIdleTimePerResource', limited('maximum idle time per resource', longestMinutes));
  return {
    maximumRetries: maximumRetries ?? 0,
    maximumTaskRetries: maximumTaskRetries ?? 0,
    maximumTimeInQueueMinutes: timeInQueue ?? 0,
    maximumIdleTimePerResourceMinutes: idleTime ?? 0,
    leaveInQueue: leaveInQueue ?? false,
    ignoreTaskFailures: ignoreTaskFailures ?? false,
    reportJobSuccessOnTaskFailure: reportSuccess ?? false,
    runSerialTasksOnAllNodes: runSerialTasksOnAllNodes ?? false,
    priority: priority ?? 0,
    ...(autoScalingType ? { autoScalingType } : {}),
    ...(placement ? { placement } : {}),
  };
}

const autoScaling = v.nullable(
  v.picklist(['none', 'dedicated', 'shared'], 'autoScalingType, if defined, must be none, dedicated or shared'),
);

/** -1 waits for ever. It is documented, though upstream's own check refuses it. -2 is the Python library's word for nothing said. */
const queueTime: v.GenericSchema<unknown, number> = v.pipe(
  v.custom<number>(
    (value) => value === -1 || value === -2 || isWhole(value),
    'the maximum time in queue must be an integer',
  ),
  v.transform((minutes) => (minutes === -2 ? 0 : minutes)),
  v.maxValue(longestMinutes, `the maximum time in queue must be less than ${longestMinutes}`),
);

const placementKeys = new Set(['requirements', 'preferences']);
const filterKeys = new Set(['sites', 'regions']);

export function readPlacement(policies: ObjectReader): JobPolicies['placement'] {
  if (!policies.has('placement')) return undefined;
  const read = policies.object('placement', 'placement must be an object');
  if (!read) return undefined;
  read.onlyKeys(placementKeys, (key) => `invalid item "${key}" in placement policy`);
  return { requirements: readFilter(read, 'requirements'), preferences: readFilter(read, 'preferences') };
}

function readFilter(placement: ObjectReader, key: 'requirements' | 'preferences'): PlacementFilter {
  if (!placement.has(key)) return {};
  const read = placement.object(key, `${key} must be an object`);
  if (!read) return {};
  read.onlyKeys(filterKeys, (item) => `invalid item "${item}" in ${key}`);
  const sites = readNames(read, 'sites', key);
  const regions = readNames(read, 'regions', key);
  return { ...(sites ? { sites } : {}), ...(regions ? { regions } : {}) };
}

function readNames(read: ObjectReader, key: 'sites' | 'regions', where: string): string[] | undefined {
  const names = read.field(key, v.custom<unknown[]>(Array.isArray, `${key} in ${where} must be a list`));
  if (!names) return undefined;
  if (names.every((name) => typeof name === 'string')) return names;
  read.ownIssue(key, `${key} in ${where} must be a list of strings`);
  return undefined;
}
