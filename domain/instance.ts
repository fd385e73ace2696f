/**
 * One job made from a template: the values of its parameters, and where they are put (spec.md 2.7, 10). Substitution
 * is one pass, so a value that looks like a name is never replaced again.
 */
import type { JobDescription } from './description.ts';
import type { Factory, SweptParameter } from './workflow-description.ts';

export type Parameters = Record<string, string | number>;

export function instanceCount(factory: Factory): number {
  switch (factory.kind) {
    case 'parameterSweep':
      return factory.parameters.reduce((product, { count }) => product * count, 1);
    case 'zip':
      return factory.parameters[0]?.values.length ?? 0;
    case 'repeat':
      return factory.number;
  }
}

/** Of instance `index`, from 0; the first parameter of a sweep changes slowest. */
export function instanceParameters(factory: Factory, index: number): Parameters {
  switch (factory.kind) {
    case 'parameterSweep': {
      const values: [string, number][] = [];
      let rest = index;
      for (const parameter of factory.parameters.toReversed()) {
        values.unshift([parameter.name, sweptValue(parameter, rest % parameter.count)]);
        rest = Math.floor(rest / parameter.count);
      }
      return Object.fromEntries(values);
    }
    case 'zip':
      return Object.fromEntries(factory.parameters.map(({ name, values }) => [name, values[index]!]));
    case 'repeat':
      return {};
  }
}

/** To 12 significant digits: what was meant by 0.1 three times is 0.3. Whole numbers are exact already. */
function sweptValue({ start, step }: SweptParameter, index: number): number {
  const value = start + index * step;
  return Number.isSafeInteger(value) ? value : Number(value.toPrecision(12));
}

export interface InstanceFacts {
  jobId: number;
  workflowId?: number;
  /** Absent: not made by a factory, so that nothing but ids is replaced. */
  parameters?: Parameters;
}

/** The description that runs: ids in commands and working directories, parameters in commands, artifacts and outputs. */
export function instantiate(template: JobDescription, facts: InstanceFacts): JobDescription {
  const { jobId, workflowId, parameters } = facts;
  const ids = {
    PROMINENCE_JOB_ID: jobId,
    ...(workflowId === undefined ? {} : { PROMINENCE_WORKFLOW_ID: workflowId }),
  };
  const inCommand = (text: string) =>
    parameters ? substitute(text, { ...parameters, ...ids }) : replaceNames(text, ids);
  const inName = (text: string) => (parameters ? substitute(text, parameters) : text);
  return {
    ...template,
    tasks: template.tasks.map((task) => ({
      ...task,
      ...(task.cmd === undefined ? {} : { cmd: inCommand(task.cmd) }),
      ...(task.workdir === undefined ? {} : { workdir: replaceNames(task.workdir, ids) }),
    })),
    // URLs may contain `$` of their own; names of uploaded objects are ours.
    artifacts: template.artifacts.map((artifact) =>
      artifact.url.includes('http') ? artifact : { ...artifact, url: inName(artifact.url) },
    ),
    outputFiles: template.outputFiles.map(inName),
    outputDirs: template.outputDirs.map(inName),
  };
}

const placeholder = /\$(?:(\$)|([\p{L}_][\p{L}\p{N}_]*)|\{([\p{L}_][\p{L}\p{N}_]*)\})/gu;

/** `$name` and `${name}`, and `$$` for `$`; what is not known stays as it is. */
export function substitute(text: string, values: Parameters): string {
  return text.replace(placeholder, (found, dollar, plain, braced) =>
    dollar ? '$' : valueOf(values, (plain ?? braced) as string, found),
  );
}

/** The names whose values a text has places for. */
export function namesIn(text: string): ReadonlySet<string> {
  return new Set(placesIn(text).keys());
}

/** The same with how many places there are for each. */
export function placesIn(text: string): ReadonlyMap<string, number> {
  const places = new Map<string, number>();
  for (const [, , plain, braced] of text.matchAll(placeholder)) {
    const name = plain ?? braced;
    if (name !== undefined) places.set(name, (places.get(name) ?? 0) + 1);
  }
  return places;
}

/** The same without `$$`, which shells read as their own process id. */
function replaceNames(text: string, values: Parameters): string {
  return text.replace(/\$(?:(\w+)|\{(\w+)\})/g, (found, plain, braced) =>
    valueOf(values, (plain ?? braced) as string, found),
  );
}

function valueOf(values: Parameters, name: string, otherwise: string): string {
  return Object.hasOwn(values, name) ? String(values[name]) : otherwise;
}
