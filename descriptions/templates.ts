/**
 * Names in the templates of a factory's job that are no parameters. They stay as they are, as in Python's
 * `safe_substitute`, which is right for variables of a shell and else a mistake: so they are told, and refuse nothing.
 */
import { namesIn } from '../domain/instance.ts';
import type { PlannedStep } from '../domain/workflow-plan.ts';
import { modernJob, modernWorkflow } from './legacy.ts';
import { isObject, type JsonObject } from './reader.ts';

const mostWarnings = 100;
/** Of one job: they are looked for again at every describe. */
const mostCharacters = 100_000;
const longestShown = 128;

/** Of a job as it was submitted, to whoever describes an instance of it. */
export function warningsOfJob(submitted: JsonObject, parameters: Iterable<string>): string[] {
  return unknownNames(modernJob(submitted), new Set(parameters)).map(({ name, place }) => sentence(name, place));
}

/** Of a workflow as it was submitted. */
export function warningsOfWorkflow(submitted: JsonObject): string[] {
  const { jobs, factories } = modernWorkflow(submitted);
  const parameters = new Map<unknown, Set<string>>();
  // A job in several factories is made by the last of them.
  for (const factory of objects(factories)) {
    const names = objects(factory['parameters']).map((parameter) => String(parameter['name']));
    for (const job of listOf(factory['jobs'])) parameters.set(job, new Set(names));
  }
  return warningsOf(objects(jobs).map((job) => ({ job, name: job['name'], parameters: parameters.get(job['name']) })));
}

/** Of a workflow that is tried by a dry run. */
export function warningsOfPlan(steps: readonly PlannedStep[]): string[] {
  return warningsOf(
    steps.map(({ name, factory, description }) => {
      const parameters =
        factory && (factory.kind === 'repeat' ? [] : factory.parameters.map((parameter) => parameter.name));
      return { name, job: { ...description }, parameters: parameters && new Set(parameters) };
    }),
  );
}

/** Nothing is put into jobs that no factory makes. */
function warningsOf(templates: { name: unknown; job: JsonObject; parameters: Set<string> | undefined }[]): string[] {
  const warnings: string[] = [];
  for (const { name: jobName, job, parameters } of templates) {
    if (warnings.length === mostWarnings) break;
    if (!parameters) continue;
    const found = unknownNames(job, parameters).slice(0, mostWarnings - warnings.length);
    warnings.push(...found.map(({ name, place }) => `job "${String(jobName)}": ${sentence(name, place)}`));
  }
  return warnings;
}

const sentence = (name: string, place: string): string =>
  `$${name.slice(0, longestShown)} in ${place} is no parameter of the factory, and stays as it is`;

function unknownNames(job: JsonObject, parameters: ReadonlySet<string>): { name: string; place: string }[] {
  const found: { name: string; place: string }[] = [];
  let left = mostCharacters;
  for (const { place, text, isKnown } of templatesOf(job)) {
    const looked = text.slice(0, left);
    left -= looked.length;
    for (const name of namesIn(looked)) {
      if (found.length === mostWarnings) return found;
      if (!parameters.has(name) && !isKnown(name)) found.push({ name, place });
    }
    if (left === 0) break;
  }
  return found;
}

interface Template {
  place: string;
  text: string;
  /** What the name stands for is put in by us or by a shell. */
  isKnown: (name: string) => boolean;
}

/** In the order of the document. */
function* templatesOf(job: JsonObject): Generator<Template, void> {
  const nothing = () => false;
  for (const [i, task] of objects(job['tasks']).entries()) {
    const { cmd, workdir, stdout, env } = task;
    const variables = isObject(env) ? env : {};
    if (typeof cmd === 'string') {
      const own = namesSetIn(cmd.slice(0, mostCharacters));
      const isKnown = (name: string) => Object.hasOwn(variables, name) || isOfEnvironment(name) || own.has(name);
      yield { place: `tasks[${i}].cmd`, text: cmd, isKnown };
    }
    if (typeof workdir === 'string') yield { place: `tasks[${i}].workdir`, text: workdir, isKnown: isId };
    if (typeof stdout === 'string') yield { place: `tasks[${i}].stdout`, text: stdout, isKnown: nothing };
    for (const [name, text] of Object.entries(variables)) {
      if (typeof text === 'string') yield { place: `tasks[${i}].env.${name}`, text, isKnown: nothing };
    }
  }
  for (const [i, { url }] of objects(job['artifacts']).entries()) {
    if (typeof url === 'string' && !url.includes('http'))
      yield { place: `artifacts[${i}].url`, text: url, isKnown: nothing };
  }
  for (const key of ['outputFiles', 'outputDirs']) {
    for (const [i, text] of listOf(job[key]).entries()) {
      if (typeof text === 'string') yield { place: `${key}[${i}]`, text, isKnown: nothing };
    }
  }
}

const isId = (name: string): boolean => name === 'PROMINENCE_JOB_ID' || name === 'PROMINENCE_WORKFLOW_ID';

const usual = new Set(['HOME', 'PATH', 'PWD', 'USER', 'TMP', 'TEMP', 'TMPDIR', 'HOSTNAME', 'SHELL', 'OLDPWD', 'IFS']);
const isOfEnvironment = (name: string): boolean => usual.has(name) || name.startsWith('PROMINENCE_');

/** As shells do: `name=value`, `for name in ...`, `read name`. */
function namesSetIn(cmd: string): ReadonlySet<string> {
  const found = cmd.matchAll(
    /(?<![A-Za-z0-9_$])([A-Za-z_][A-Za-z0-9_]*)=|\b(?:for|read)[ \t]+([A-Za-z_][A-Za-z0-9_]*)/g,
  );
  return new Set([...found].flatMap(([, assigned, taken]) => assigned ?? taken ?? []));
}

const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);

const objects = (value: unknown): JsonObject[] => listOf(value).filter(isObject);
