/**
 * One job made from a template: the values of its parameters, and where they are put (docs/wire.md 4.3). Substitution
 * is one pass, so a value that looks like a name is never replaced again.
 */
import type { JobDescription } from './description.ts';
import { parameterText, type Parameters, type ParameterValue } from './parameters.ts';
import { sweptValue } from './sweep.ts';
import type { Factory } from './workflow-description.ts';

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
      const values: [string, ParameterValue][] = [];
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

export interface InstanceFacts {
  jobId: number;
  workflowId?: number;
  /** Absent: not made by a factory, so that nothing but ids is replaced. */
  parameters?: Parameters;
}

/**
 * The description that runs: ids in commands and working directories; parameters there, in the names of artifacts, outputs
 * and files for standard output, and in values of environment variables.
 */
export function instantiate(template: JobDescription, facts: InstanceFacts): JobDescription {
  const { jobId, workflowId, parameters } = facts;
  const ids = {
    PROMINENCE_JOB_ID: jobId,
    ...(workflowId === undefined ? {} : { PROMINENCE_WORKFLOW_ID: workflowId }),
  };
  const inCommand = (text: string) =>
    parameters ? substitute(text, { ...parameters, ...ids }) : replaceNames(text, ids);
  const inName = (text: string) => (parameters ? substitute(text, parameters) : text);
  const inText = (text: string) => (parameters ? substituteWhereNamed(text, parameters) : text);
  const inDirectory = (text: string) =>
    parameters && namesAny(text, parameters) ? substitute(text, { ...parameters, ...ids }) : replaceNames(text, ids);
  return {
    ...template,
    tasks: template.tasks.map((task) => ({
      ...task,
      ...(task.cmd === undefined ? {} : { cmd: inCommand(task.cmd) }),
      env: Object.fromEntries(Object.entries(task.env).map(([name, value]) => [name, inText(value)])),
      ...(task.workdir === undefined ? {} : { workdir: inDirectory(task.workdir) }),
      ...(task.stdout === undefined ? {} : { stdout: inText(task.stdout) }),
    })),
    // URLs may contain `$` of their own; names of uploaded objects are ours.
    artifacts: template.artifacts.map((artifact) =>
      artifact.url.includes('http') ? artifact : { ...artifact, url: inName(artifact.url) },
    ),
    outputFiles: template.outputFiles.map(inName),
    outputDirs: template.outputDirs.map(inName),
  };
}

/** As in Python's `string.Template`: any letter that is not of ASCII ends a name. */
const placeholder = /\$(?:(\$)|([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})/g;

/** Whether a text can have a place for the value of such a name. */
export const isParameterName = (name: string): boolean => /^[A-Za-z_][A-Za-z0-9_]*$/.test(name);

/** `$name` and `${name}`, and `$$` for `$`; what is not known stays as it is. */
export function substitute(text: string, values: Parameters): string {
  return text.replace(placeholder, (found, dollar, plain, braced) =>
    dollar ? '$' : valueOf(values, (plain ?? braced) as string, found),
  );
}

/**
 * The same for texts that are seldom templates: one that names no parameter stays as it is, so that `$$` in a password
 * does.
 */
export function substituteWhereNamed(text: string, values: Parameters): string {
  return namesAny(text, values) ? substitute(text, values) : text;
}

/** Also where a second `$` before it says that it is not meant. */
function namesAny(text: string, values: Parameters): boolean {
  for (const [, name] of text.matchAll(/\$\{?([A-Za-z_][A-Za-z0-9_]*)/g)) if (Object.hasOwn(values, name!)) return true;
  return false;
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
  return Object.hasOwn(values, name) ? parameterText(values[name]!) : otherwise;
}
