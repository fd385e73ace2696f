/**
 * What the jobs of a step come to, told without making them: a description that is small to send can be larger than a
 * database or a memory by what factories multiply and put into texts. In characters.
 */
import type { JobDescription } from './description.ts';
import { parameterText } from './parameters.ts';
import { longestPoint } from './sweep.ts';
import type { Factory } from './workflow-description.ts';
import type { PlannedStep } from './workflow-plan.ts';

export interface StepSize {
  /** What all its jobs keep beside the template: name of the step, labels, parameters. */
  kept: number;
  /** At least as many as any one of its jobs has in its parameters, and in texts that these are put into. */
  ofInstance: number;
}

/** Of each step, in time of the description's size. */
export function stepSizes(steps: readonly PlannedStep[]): StepSize[] {
  const known = new Map<Factory, ParameterSize>();
  return steps.map(({ name, count, description, factory }) => {
    const parameters = factory ? (known.get(factory) ?? sizeOf(factory, count)) : none;
    if (factory) known.set(factory, parameters);
    const labels = Object.entries(description.labels).flat();
    const sizeOfText = (text: string) => text.length + quotes + dollarsIn(text) * parameters.longestValue;
    return {
      kept: count * (name.length + charactersIn(labels) + parameters.names) + parameters.values,
      ofInstance: textsOf(description).reduce((sum, text) => sum + sizeOfText(text), parameters.ofInstance),
    };
  });
}

/** Around each of many short texts, and a comma. */
const quotes = 3;

interface ParameterSize {
  names: number;
  /** At most. */
  ofInstance: number;
  /** Of all instances together. */
  values: number;
  longestValue: number;
}

const none: ParameterSize = { names: 0, ofInstance: 0, values: 0, longestValue: 0 };

/** As many as a number has that a double holds. */
const longestNumber = 25;

function sizeOf(factory: Factory, count: number): ParameterSize {
  if (factory.kind === 'repeat') return none;
  const { parameters } = factory;
  const names = charactersIn(parameters.map(({ name }) => name));
  let values = 0;
  let longestValue = longestNumber;
  if (factory.kind === 'parameterSweep') {
    longestValue = Math.max(longestNumber, ...factory.parameters.map(longestPoint));
    values = count * parameters.length * longestValue;
  } else {
    for (const value of factory.parameters.flatMap((parameter) => parameter.values)) {
      const { length } = parameterText(value);
      values += length;
      longestValue = Math.max(longestValue, length);
    }
  }
  return { names, ofInstance: names + parameters.length * longestValue, values, longestValue };
}

/** Where parameters are put. */
function textsOf({ tasks, artifacts, outputFiles, outputDirs }: JobDescription): string[] {
  const ofTasks = tasks.flatMap(({ cmd = '', workdir = '', stdout = '', env }) => [
    ...[cmd, workdir, stdout],
    ...Object.values(env),
  ]);
  return [...ofTasks, ...artifacts.map(({ url }) => url), ...outputFiles, ...outputDirs];
}

const charactersIn = (texts: string[]): number => texts.reduce((sum, { length }) => sum + length, 0);

function dollarsIn(text: string): number {
  let count = 0;
  for (let at = text.indexOf('$'); at >= 0; at = text.indexOf('$', at + 1)) count += 1;
  return count;
}
