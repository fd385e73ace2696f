/**
 * Sweeps: how many instances of which jobs, with which parameters (spec.md 2.7, 10). Nothing is expanded here; whether
 * they make too many jobs is judged of the whole workflow (`tooLarge`).
 */
import type { Factory, SweptParameter, ZippedParameter } from '../domain/workflow-description.ts';
import { shortened } from './issues.ts';
import { limits } from './limits.ts';
import type { ObjectReader, Place } from './reader.ts';
import { count, lengthOf, text } from './values.ts';

export function readFactories(workflow: ObjectReader, jobs: ReadonlySet<string>): Factory[] {
  if (!workflow.has('factories')) return [];
  const entries = workflow.list('factories', 'factories must be a list', limits.factories) ?? [];
  return entries.flatMap((entry, i) => readFactory(workflow, entry, i, jobs) ?? []);
}

function readFactory(
  workflow: ObjectReader,
  entry: Place,
  index: number,
  defined: ReadonlySet<string>,
): Factory | undefined {
  const read = workflow.reader(entry);
  if (!read) {
    workflow.issue(`factories[${index}]`, 'each factory must be an object');
    return undefined;
  }
  // Whatever else is in a factory is ignored: some tools put policies and notifications there.
  if (!read.has('type')) read.issue('type', 'a factory type must be specified');
  if (!read.has('name')) read.issue('name', 'a factory name must be specified');
  const name = read.field('name', text('a factory name must be a string')) ?? '';
  const shared = { name, jobs: readJobList(read, shortened(name), defined) };
  switch (read.value('type')) {
    case 'parameterSweep':
      return { kind: 'parameterSweep', ...shared, parameters: readSweep(read) };
    case 'zip':
      return { kind: 'zip', ...shared, parameters: readZip(read) };
    case 'repeat':
      return { kind: 'repeat', ...shared, number: readRepeats(read) };
    default:
      if (read.has('type')) read.issue('type', 'invalid factory type');
      return undefined;
  }
}

function readJobList(read: ObjectReader, factory: string, defined: ReadonlySet<string>): string[] {
  if (!read.has('jobs')) {
    read.issue('jobs', 'a list of jobs must be specified');
    return [];
  }
  const names = new Set<string>();
  for (const job of read.values('jobs', 'jobs must be a list') ?? []) {
    if (typeof job !== 'string') read.issue('jobs', `jobs of factory ${factory} must be names of jobs`);
    else if (defined.has(job)) names.add(job);
    else read.issue('jobs', `factory ${factory} references a job ${shortened(job)} which is not defined`);
  }
  return [...names];
}

function readRepeats(read: ObjectReader): number {
  if (!read.has('number')) read.issue('number', 'a factory of type repeat must have number specified');
  return (
    read.field('number', count('number of repeats must be an integer', 'number of repeats must be at least 1')) ?? 0
  );
}

function parameterList(read: ObjectReader, type: string): ObjectReader[] {
  if (!read.has('parameters')) {
    read.issue('parameters', `a factory of type ${type} must have parameters specified`);
    return [];
  }
  const entries = read.list('parameters', 'parameters must be a list', limits.parameters);
  if (entries?.length === 0) read.ownIssue('parameters', `a factory of type ${type} must have parameters specified`);
  return (entries ?? []).flatMap((entry, i) => {
    const parameter = read.reader(entry);
    if (!parameter) read.issue(`parameters[${i}]`, 'each parameter must be an object');
    return parameter ?? [];
  });
}

/** It is kept with each instance. */
export const longestParameterName = 128;

/** '' where there is none. */
function parameterName(read: ObjectReader): string {
  if (!read.has('name')) read.issue('name', 'a parameter must contain a name');
  const name = read.value('name');
  if (typeof name !== 'string' || name === '' || name.includes('=')) {
    if (read.has('name')) read.issue('name', 'the name of a parameter must be a string without =');
    return '';
  }
  if (lengthOf(name) > longestParameterName) {
    read.ownIssue('name', `the name of a parameter must not be longer than ${longestParameterName} characters`);
  }
  return name;
}

function tellRepeatedName(read: ObjectReader, name: string, seen: Set<string>): void {
  if (read.has('name') && seen.has(name)) read.issue('name', 'each parameter must have a unique name');
  seen.add(name);
}

function readSweep(factory: ObjectReader): SweptParameter[] {
  const seen = new Set<string>();
  return parameterList(factory, 'parameterSweep').map((read) => {
    const name = parameterName(read);
    if (!read.has('start')) read.issue('start', 'a parameter must contain a start value');
    if (!read.has('end')) read.issue('end', 'a parameter must contain an end value');
    const [hasStep, hasNumber] = [read.has('step'), read.has('number')];
    if (!hasStep && !hasNumber) read.issue('step', 'a parameter must contain a step size or number of steps');
    if (hasStep && hasNumber) read.issue('step', 'a parameter cannot have both a step size and number of steps');
    tellRepeatedName(read, name, seen);
    return { name, ...readRange(read, name) };
  });
}

/** Ends are included, with a tolerance for the steps' binary rounding. */
const tolerance = 1e-9;

function readRange(read: ObjectReader, name: string): Omit<SweptParameter, 'name'> {
  const nothing = { start: 0, step: 0, count: 0 };
  const numberAt = (key: string): number | undefined => {
    const value = read.value(key);
    if (typeof value === 'number' && Number.isFinite(value)) return value;
    if (read.has(key)) read.issue(key, `${key} of parameter "${name}" must be a number`);
    return undefined;
  };
  const [start, end] = [numberAt('start'), numberAt('end')];
  if (read.has('number')) {
    const what = `number of parameter "${name}"`;
    const points = read.field('number', count(`${what} must be an integer`, `${what} must be at least 1`));
    if (start === undefined || end === undefined || points === undefined) return nothing;
    return { start, step: points === 1 ? 0 : (end - start) / (points - 1), count: points };
  }
  const step = numberAt('step');
  if (start === undefined || end === undefined || step === undefined) return nothing;
  const steps = (end - start) / step;
  if (step === 0) read.ownIssue('step', `step of parameter "${name}" must not be 0`);
  else if (steps < 0) read.ownIssue('step', `step of parameter "${name}" leads away from its end`);
  else if (!Number.isFinite(steps)) read.ownIssue('step', `step of parameter "${name}" is too small for its range`);
  else return { start, step, count: Math.floor(steps * (1 + tolerance) + tolerance) + 1 };
  return nothing;
}

function readZip(factory: ObjectReader): ZippedParameter[] {
  const parameters = parameterList(factory, 'zip');
  const lengths = parameters.map((read) => read.value('values')).filter(Array.isArray);
  if (new Set(lengths.map((values) => values.length)).size > 1) {
    factory.issue('parameters', 'all parameters must lists of values the same length');
  }
  const seen = new Set<string>();
  return parameters.map((read) => {
    const name = parameterName(read);
    if (!read.has('values')) read.issue('values', 'a parameter must contain a list of values');
    const entries = read.has('values') ? (read.values('values', 'values must be a list') ?? []) : [];
    tellRepeatedName(read, name, seen);
    const values = entries.filter((value) => typeof value === 'string' || isNumber(value));
    if (values.length < entries.length) {
      read.issue('values', `values of parameter "${name}" must be strings or numbers`);
    }
    if (read.has('values') && entries.length === 0) read.ownIssue('values', `parameter "${name}" must have a value`);
    return { name, values };
  });
}

const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value);
