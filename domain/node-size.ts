/**
 * What the jobs of a node come to, told without making them: a description that is small to send can be larger than a
 * database or a memory by what factories multiply and put into texts. In characters.
 */
import type { JobDescription } from './description.ts';
import type { Factory } from './workflow-description.ts';
import type { PlannedNode } from './workflow-plan.ts';

export interface NodeSize {
  /** What all its jobs keep beside the template: name of the node, labels, parameters. */
  kept: number;
  /** At least as many as the texts of any one of its jobs have, with parameters in them. */
  ofInstance: number;
}

/** Of each node, in time of the description's size. */
export function nodeSizes(nodes: readonly PlannedNode[]): NodeSize[] {
  const known = new Map<Factory, ParameterSize>();
  return nodes.map(({ name, count, description, factory }) => {
    const parameters = factory ? (known.get(factory) ?? sizeOf(factory, count)) : none;
    if (factory) known.set(factory, parameters);
    const labels = Object.entries(description.labels).flat();
    return {
      kept: count * (name.length + charactersIn(labels) + parameters.names) + parameters.values,
      ofInstance: textsOf(description).reduce(
        (sum, text) => sum + text.length + dollarsIn(text) * parameters.longestValue,
        0,
      ),
    };
  });
}

interface ParameterSize {
  names: number;
  /** Of all instances together. */
  values: number;
  longestValue: number;
}

const none: ParameterSize = { names: 0, values: 0, longestValue: 0 };

/** As many as JavaScript ever writes for a number. */
const longestNumber = 25;

function sizeOf(factory: Factory, count: number): ParameterSize {
  if (factory.kind === 'repeat') return none;
  const names = charactersIn(factory.parameters.map(({ name }) => name));
  if (factory.kind === 'parameterSweep') {
    return { names, values: count * factory.parameters.length * longestNumber, longestValue: longestNumber };
  }
  let [values, longestValue] = [0, 0];
  for (const value of factory.parameters.flatMap((parameter) => parameter.values)) {
    const { length } = String(value);
    values += length;
    longestValue = Math.max(longestValue, length);
  }
  return { names, values, longestValue };
}

/** Where parameters are put. */
function textsOf({ tasks, artifacts, outputFiles, outputDirs }: JobDescription): string[] {
  const commands = tasks.map(({ cmd }) => cmd ?? '');
  return [...commands, ...artifacts.map(({ url }) => url), ...outputFiles, ...outputDirs];
}

const charactersIn = (texts: string[]): number => texts.reduce((sum, { length }) => sum + length, 0);

function dollarsIn(text: string): number {
  let count = 0;
  for (let at = text.indexOf('$'); at >= 0; at = text.indexOf('$', at + 1)) count += 1;
  return count;
}
