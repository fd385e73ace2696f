/**
 * What a workflow is made of: one step per entry of `jobs`, in order, with how many jobs it is and what must come first.
 * Jobs are numbered step after step, so that a job's id tells its place.
 */
import type { JobDescription } from './description.ts';
import { instanceCount } from './instance.ts';
import type { Factory, WorkflowDescription } from './workflow-description.ts';

export interface PlannedStep {
  name: string;
  /** How many jobs of the workflow come before its first. */
  offset: number;
  count: number;
  factory?: Factory;
  /** Positions of the steps all of whose jobs must succeed first. */
  parents: number[];
  /** With what the workflow's policies replace; before any substitution. */
  description: JobDescription;
}

export interface WorkflowPlan {
  steps: PlannedStep[];
  total: number;
}

export function planWorkflow(workflow: WorkflowDescription): WorkflowPlan {
  const factories = new Map(workflow.factories.flatMap((factory) => factory.jobs.map((job) => [job, factory])));
  const positions = new Map(workflow.jobs.map(({ name }, position) => [name, position]));
  const parents = new Map<string, number[]>(workflow.jobs.map(({ name }) => [name, []]));
  for (const { parent, children } of workflow.dependencies) {
    for (const child of children) parents.get(child)!.push(positions.get(parent)!);
  }
  let total = 0;
  const steps = workflow.jobs.map((job): PlannedStep => {
    const factory = factories.get(job.name);
    const count = factory ? instanceCount(factory) : 1;
    const offset = total;
    total += count;
    return {
      name: job.name,
      offset,
      count,
      ...(factory ? { factory } : {}),
      parents: parents.get(job.name)!,
      description: inWorkflow(job, workflow),
    };
  });
  return { steps, total };
}

/** Retries of the workflow repeat all attempts of a job; only the workflow itself can be kept in the queue. */
function inWorkflow(job: JobDescription, { policies }: WorkflowDescription): JobDescription {
  return {
    ...job,
    policies: {
      ...job.policies,
      maximumRetries: (job.policies.maximumRetries + 1) * (policies.maximumRetries + 1) - 1,
      leaveInQueue: false,
      ...(policies.placement ? { placement: policies.placement } : {}),
    },
  };
}

/** As lists show it (docs/wire.md 4.2). */
export function jobName(workflow: string, step: { name: string; isFactory: boolean }, instance: number): string {
  return step.isFactory ? `${workflow}/${step.name}/${instance}` : `${workflow}/${step.name}`;
}
