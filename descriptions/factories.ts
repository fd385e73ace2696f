/**
 * Sweeps: how many instances of which jobs, with which parameters (docs/wire.md 4.2, 4.3). Nothing is expanded here;
 * whether they make too many jobs is judged of the whole workflow (`tooLarge`).
 */
import { digitsOf, isInteger } from '../domain/exact-json.ts';
import { isParameterName } from '../domain/instance.ts';
import { decimalOf, isFiniteNumber, mostDigits, pythonText, type Decimal } from '../domain/number-text.ts';
import { numberValue, type ParameterValue } from '../domain/parameters.ts';
import { leadsAway, sweepByNumber, sweepBySteps, type Range, type Sweep } from '../domain/sweep.ts';
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
  if (!isParameterName(name)) {
    read.ownIssue(
      'name',
      `the name of a parameter must be letters (a-z, A-Z), digits and _, and not begin with a digit: nothing could refer ` +
        `to "${shortened(name)}"`,
    );
  }
  if (lengthOf(name) > longestParameterName) {
    read.ownIssue('name', `the name of a parameter must not be longer than ${longestParameterName} characters`);
  }
  return name;
}

function refuseRepeatedName(read: ObjectReader, name: string, seen: Set<string>): void {
  if (read.has('name') && seen.has(name)) read.issue('name', 'each parameter must have a unique name');
  seen.add(name);
}

/** Where there is none, since something is wrong. */
const noSweep: Sweep = { count: 0, scale: 0, start: '0', span: '0', parts: 1, isInteger: true };

function readSweep(factory: ObjectReader): SweptParameter[] {
  const seen = new Set<string>();
  return parameterList(factory, 'parameterSweep').map((read) => {
    const name = parameterName(read);
    if (!read.has('start')) read.issue('start', 'a parameter must contain a start value');
    if (!read.has('end')) read.issue('end', 'a parameter must contain an end value');
    const [hasStep, hasNumber] = [read.has('step'), read.has('number')];
    if (!hasStep && !hasNumber) read.issue('step', 'a parameter must contain a step size or number of steps');
    if (hasStep && hasNumber) read.issue('step', 'a parameter cannot have both a step size and number of steps');
    refuseRepeatedName(read, name, seen);
    return { name, ...(readRange(read, name) ?? noSweep) };
  });
}

/** Undefined where it is wrong, which is told then. */
function readRange(read: ObjectReader, name: string): Sweep | undefined {
  const keys = ['start', 'end', 'step'];
  const [start, end, step] = keys.map((key) => readDecimal(read, key, name));
  const written = keys.map((key) => digitsOf(read.value(key)));
  const isWhole = written.every((digits) => digits === undefined || isInteger(digits));
  if (read.has('number')) {
    const what = `number of parameter "${name}"`;
    const points = read.field('number', count(`${what} must be an integer`, `${what} must be at least 1`));
    if (!start || !end || points === undefined) return undefined;
    const sweep = sweepByNumber({ start, end, isInteger: isWhole }, points);
    if (points === 1 || sweep.span !== '0') return sweep;
    read.ownIssue('number', `${what} must be 1 where its start is its end`);
    return undefined;
  }
  if (!start || !end || !step) return undefined;
  return readSteps(read, name, { start, end, isInteger: isWhole }, step);
}

/** `start`, `end` or `step`; `step` may be absent. */
function readDecimal(read: ObjectReader, key: string, name: string): Decimal | undefined {
  if (!read.has(key)) return undefined;
  const digits = digitsOf(read.value(key));
  if (digits === undefined || !isFiniteNumber(digits)) {
    read.issue(key, `${key} of parameter "${name}" must be a number`);
    return undefined;
  }
  const decimal = decimalOf(digits);
  if (!decimal) read.ownIssue(key, `${key} of parameter "${name}" must not have more than ${mostDigits} digits`);
  return decimal;
}

function readSteps(read: ObjectReader, name: string, range: Range, step: Decimal): Sweep | undefined {
  if (step.unscaled === 0n) read.ownIssue('step', `step of parameter "${name}" must not be 0`);
  else if (leadsAway(range, step)) read.ownIssue('step', `step of parameter "${name}" leads away from its end`);
  else {
    const sweep = sweepBySteps(range, step);
    if (Number.isFinite(sweep.count)) return sweep;
    read.ownIssue('step', `step of parameter "${name}" is too small for its range`);
  }
  return undefined;
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
    refuseRepeatedName(read, name, seen);
    const values = entries.flatMap((value) => zippedValue(value) ?? []);
    if (values.length < entries.length) {
      read.issue('values', `values of parameter "${name}" must be strings or numbers`);
    }
    if (read.has('values') && entries.length === 0) read.ownIssue('values', `parameter "${name}" must have a value`);
    return { name, values };
  });
}

/** Undefined where it is neither text nor a number. */
function zippedValue(value: unknown): ParameterValue | undefined {
  const digits = digitsOf(value);
  if (digits !== undefined) return isFiniteNumber(digits) ? numberValue(pythonText(digits)) : undefined;
  return typeof value === 'string' ? value : undefined;
}
