/**
 * A workflow description after validation: names resolved, factories kept as ranges. How many instances there are can
 * be told without making them.
 */
import type { ParameterValue } from './parameters.ts';
import type { Sweep } from './sweep.ts';
import type { JobDescription, JobPolicies, Notification } from './description.ts';

export interface WorkflowDescription {
  /** '' when the user gave none. */
  name: string;
  labels: Record<string, string>;
  /** Their names are unique and not empty. */
  jobs: JobDescription[];
  /** From each parent's name to its children's; free of cycles, without repeats. */
  dependencies: Dependency[];
  factories: Factory[];
  policies: WorkflowPolicies;
  notifications: Notification[];
}

export interface Dependency {
  parent: string;
  children: string[];
}

/** Makes instances of each of `jobs`. A job in several factories is made by the last of them. */
export type Factory =
  | { kind: 'parameterSweep'; name: string; jobs: string[]; parameters: SweptParameter[] }
  | { kind: 'zip'; name: string; jobs: string[]; parameters: ZippedParameter[] }
  | { kind: 'repeat'; name: string; jobs: string[]; number: number };

/** The first parameter of a sweep changes slowest. */
export type SweptParameter = { name: string } & Sweep;

/** All parameters of one factory have as many values. */
export interface ZippedParameter {
  name: string;
  values: ParameterValue[];
}

export interface WorkflowPolicies {
  /** Of each step. */
  maximumRetries: number;
  leaveInQueue: boolean;
  /** Instead of the jobs' own. */
  placement?: JobPolicies['placement'];
}
