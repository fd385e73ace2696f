/**
 * How many of each thing a description may have. Upstream knew no such limits. These are far above what anybody was seen
 * to need; they bound what one request makes us look at, and what is kept once more for each instance of a factory.
 * A workflow defines at most 2,000 jobs by name, as each is some events in the one history of its execution.
 */
export interface Limit {
  most: number;
  message: string;
}

const inJob = (most: number, what: string): Limit => ({
  most,
  message: `a job must not have more than ${most} ${what}`,
});

export const limits = {
  labels: { most: 100, message: 'there must not be more than 100 labels' },
  tasks: inJob(1000, 'tasks'),
  /**
   * Of tasks, all retries counted, where those of a workflow multiply the job's own. Each is some twelve events of the job's
   * history, which ends at 51,200; lost machines add to them.
   */
  launches: {
    most: 3000,
    message:
      'a job may start its tasks at most 3000 times, all retries counted: number of tasks x (maximumTaskRetries + 1) x ' +
      '(maximumRetries + 1), and in a workflow x (maximumRetries of the workflow + 1)',
  },
  variables: { most: 1000, message: 'a task must not have more than 1000 environment variables' },
  artifacts: inJob(1000, 'artifacts'),
  mountpoints: inJob(100, 'artifacts with a mountpoint'),
  inputs: inJob(1000, 'inputs'),
  outputFiles: inJob(10_000, 'outputFiles'),
  outputDirs: inJob(10_000, 'outputDirs'),
  /** Each is a delivery of its own for every instance of a factory. */
  notifications: { most: 10, message: 'there must not be more than 10 notifications' },
  /** Each is a step of one execution, whose history has a bound; what factories make does not count. */
  jobs: {
    most: 2000,
    message: 'a workflow must not define more than 2000 jobs by name: use factories for many alike',
  },
  factories: { most: 2000, message: 'a workflow must not have more than 2000 factories' },
  parameters: { most: 100, message: 'a factory must not have more than 100 parameters' },
} satisfies Record<string, Limit>;

/** Of a workflow, by name and by its factories together. An installation may allow fewer (`maximumJobsPerWorkflow`). */
export const mostJobsInAll = 1_000_000;
