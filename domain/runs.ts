/**
 * Names of runs. A run is one node's share of one attempt of a job on one machine; its token names the run directory
 * and is how a machine that was out of sight is read again. Never change the format: directories outlive our processes.
 */

export interface RunRef {
  deployment: string;
  jobId: number;
  /** From 1. */
  attempt: number;
  /** From 0. */
  node: number;
}

export function runToken(run: RunRef): string {
  return `${run.deployment}-${run.jobId}.${run.attempt}.${run.node}`;
}

/** Undefined for a directory that is not one of ours: it may belong to another deployment on the same machine. */
export function parseRunToken(deployment: string, token: string): RunRef | undefined {
  const match = /^(?<deployment>[a-z0-9]+)-(?<job>\d+)\.(?<attempt>\d+)\.(?<node>\d+)$/.exec(token);
  if (!match?.groups || match.groups['deployment'] !== deployment) return undefined;
  return {
    deployment,
    jobId: Number(match.groups['job']),
    attempt: Number(match.groups['attempt']),
    node: Number(match.groups['node']),
  };
}
