/** The six words a job or workflow status can be, and what is true of each. Clients depend on exactly these words. */

export const jobStatuses = ['pending', 'running', 'completed', 'failed', 'deleted', 'killed'] as const;
export type JobStatus = (typeof jobStatuses)[number];

export const terminalStatuses = ['completed', 'failed', 'deleted', 'killed'] as const;
export type TerminalStatus = (typeof terminalStatuses)[number];

export function isTerminal(status: JobStatus): status is TerminalStatus {
  return status !== 'pending' && status !== 'running';
}
