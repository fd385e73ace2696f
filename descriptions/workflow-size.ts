/** Workflows that are small to send, and too large to keep or to run for what their factories make of them. */
import { stepSizes } from '../domain/step-size.ts';
import type { WorkflowPlan } from '../domain/workflow-plan.ts';

/** Of names, labels and parameters: about as many bytes in the database. */
const mostKept = 1_000_000_000;

/** Far more than a command may have that a machine is to start. */
const mostOfInstance = 20_000_000;

/** A sentence for the user, or undefined. */
export function tooLarge({ steps, total }: WorkflowPlan, mostJobs: number): string | undefined {
  if (total > mostJobs) return `a workflow may have at most ${mostJobs} jobs on this server, and this one has ${total}`;
  const sizes = stepSizes(steps);
  const kept = sizes.reduce((sum, size) => sum + size.kept, 0);
  if (kept > mostKept) {
    return (
      `names, labels and parameters are kept with each job: at most ${mostKept} characters of all jobs of a workflow, ` +
      `and this one has ${kept}`
    );
  }
  const large = steps[sizes.findIndex(({ ofInstance }) => ofInstance > mostOfInstance)];
  return (
    large &&
    `with parameters put into them, commands and names of one job must not come to more than ${mostOfInstance} ` +
      `characters (job "${large.name}")`
  );
}
