/** What a workflow would be made of, as the dry run tells it: counts, order, and examples of what factories make. */
import { warningsOfPlan } from '../descriptions/templates.ts';
import { instanceParameters, substitute } from '../domain/instance.ts';
import { stepSizes } from '../domain/step-size.ts';
import { shownParameters, type Parameters } from '../domain/parameters.ts';
import { jobName, type PlannedStep, type WorkflowPlan } from '../domain/workflow-plan.ts';

const mostExamples = { ofStep: 100, ofPlan: 10_000 };

/** Of all examples together, as they could be at most: a long command fills this with few of them, or has none. */
const mostCharacters = 4_000_000;

export function planView(workflowName: string, { steps, total }: WorkflowPlan): Record<string, unknown> {
  const levels = levelsOf(steps);
  const warnings = warningsOfPlan(steps);
  const factories = steps.filter(({ factory }) => factory !== undefined).length;
  const most = Math.min(mostExamples.ofStep, Math.ceil(mostExamples.ofPlan / Math.max(1, factories)));
  const sizes = stepSizes(steps);
  let room = mostCharacters;
  const examples = (step: PlannedStep, position: number) => {
    const { ofInstance } = sizes[position]!;
    const count = Math.min(step.count, most, Math.floor(room / Math.max(1, ofInstance)));
    room -= count * ofInstance;
    return examplesOf(workflowName, step, count);
  };
  return {
    name: workflowName,
    total,
    levels: levels.names,
    ...(warnings.length > 0 ? { warnings } : {}),
    nodes: steps.map((step, position) => ({
      name: step.name,
      count: step.count,
      level: levels.ofStep[position],
      parents: step.parents.map((parent) => steps[parent]?.name),
      ...(step.factory ? { instances: examples(step, position) } : {}),
    })),
  };
}

/** Level 0 waits for nothing; every step is one above the highest of its parents. */
export function levelsOf(steps: Pick<PlannedStep, 'name' | 'parents'>[]): { ofStep: number[]; names: string[][] } {
  const ofStep = steps.map(() => 0);
  const children: number[][] = steps.map(() => []);
  const open = steps.map(({ parents }) => parents.length);
  steps.forEach(({ parents }, step) => parents.forEach((parent) => children[parent]?.push(step)));
  const names: string[][] = [];
  for (let level = open.flatMap((count, step) => (count === 0 ? [step] : [])); level.length > 0;) {
    const next: number[] = [];
    for (const step of level) {
      ofStep[step] = names.length;
      for (const child of children[step] ?? []) {
        open[child] = (open[child] ?? 0) - 1;
        if (open[child] === 0) next.push(child);
      }
    }
    names.push(level.map((step) => steps[step]?.name ?? ''));
    level = next;
  }
  return { ofStep, names };
}

function examplesOf(workflowName: string, step: PlannedStep, count: number): Record<string, unknown>[] {
  const { factory } = step;
  if (!factory) return [];
  return Array.from({ length: count }, (_, instance) => {
    const parameters = instanceParameters(factory, instance);
    return {
      instance,
      name: jobName(workflowName, { name: step.name, isFactory: true }, instance),
      parameters: shownParameters(parameters),
      ...substituted(step, parameters),
    };
  });
}

/** Where parameters are put. Ids are not known yet and stay names. */
function substituted({ description }: PlannedStep, parameters: Parameters): Record<string, unknown> {
  const put = (text: string) => substitute(text, parameters);
  const { tasks, artifacts, outputFiles, outputDirs } = description;
  const urls = artifacts.map(({ url }) => (url.includes('http') ? url : put(url)));
  return {
    commands: tasks.map(({ cmd }) => (cmd === undefined ? null : put(cmd))),
    ...(urls.length > 0 ? { artifacts: urls } : {}),
    ...(outputFiles.length > 0 ? { outputFiles: outputFiles.map(put) } : {}),
    ...(outputDirs.length > 0 ? { outputDirs: outputDirs.map(put) } : {}),
  };
}
