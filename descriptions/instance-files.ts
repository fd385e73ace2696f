/**
 * Names of files that parameters are put into: what they become in each instance must be in scratch too. Looked at to a
 * bound, since a short template can stand for millions; one beyond it fails its own job.
 */
import { scratchFiles, scratchOutputs } from '../domain/environment.ts';
import { instanceParameters, namesIn, substitute, substituteWhereNamed } from '../domain/instance.ts';
import type { PlannedStep } from '../domain/workflow-plan.ts';
import { shortened } from './issues.ts';

/** Of one workflow. */
const mostNames = 10_000;

/** The first that is outside: a sentence for the user. */
export function wrongInstanceFile(steps: readonly PlannedStep[]): string | undefined {
  let left = mostNames;
  for (const { name: job, factory, count, description } of steps) {
    // Numbers make no name of a folder.
    if (factory?.kind !== 'zip') continue;
    const texts = factory.parameters.filter(({ values }) => values.some((value) => typeof value === 'string'));
    const names = texts.map(({ name }) => name);
    const isTemplate = (text: string) => {
      const used = namesIn(text);
      return names.some((name) => used.has(name));
    };
    const stdouts = description.tasks.flatMap(({ stdout }) => stdout ?? []).filter(isTemplate);
    const outputs = [...description.outputFiles, ...description.outputDirs].filter(isTemplate);
    if (stdouts.length + outputs.length === 0) continue;
    const [scratchFile, scratchOutput] = [scratchFiles(description.artifacts), scratchOutputs(description.artifacts)];
    for (let instance = 0; instance < count && left > 0; instance += 1) {
      left -= stdouts.length + outputs.length;
      const parameters = instanceParameters(factory, instance);
      const file = stdouts
        .map((text) => substituteWhereNamed(text, parameters))
        .find((name) => scratchFile(name) === undefined);
      const output = outputs
        .map((text) => substitute(text, parameters))
        .find((name) => scratchOutput(name) === undefined);
      const [what, name] = file !== undefined ? ['stdout', file] : ['outputs', output];
      if (name === undefined) continue;
      return `${what} of a job must be in the scratch directory (/home/user): "${shortened(name)}" of instance ${instance} is not (job "${job}")`;
    }
  }
  return undefined;
}
