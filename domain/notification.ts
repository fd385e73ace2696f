/**
 * The words about telling somebody that a job or workflow is over. Only a reference travels through Temporal: address,
 * secret and what is told are read when it is delivered.
 */
import type { JobExecution } from './execution.ts';
import type { Parameters } from './parameters.ts';
import type { TerminalStatus } from './status.ts';

export interface NotificationRef {
  about: 'job' | 'workflow';
  id: number;
  /** In the list of its description, from 0. */
  position: number;
}

export interface NotificationResult {
  outcome: 'delivered' | 'givenUp';
}

/** How one attempt to tell somebody went. */
export type Delivery =
  | { kind: 'delivered' }
  /** It may work later. */
  | { kind: 'failed'; reason: string }
  /** Trying again would not help. */
  | { kind: 'refused'; reason: string };

/** What there is to tell. Terminal, so it is the same at every attempt. */
export type Ended = EndedJob | EndedWorkflow;

export interface EndedJob extends EndedFacts {
  about: 'job';
  workflowId: number | null;
  parameters: Parameters | null;
  execution: JobExecution;
  hasOutputs: boolean;
}

export interface EndedWorkflow extends EndedFacts {
  about: 'workflow';
  counts: { total: number; done: number; failed: number; skipped: number; deleted: number | null };
}

interface EndedFacts {
  id: number;
  uid: string;
  owner: string;
  name: string;
  labels: Record<string, string>;
  status: TerminalStatus;
  statusReason: string | null;
  statusDetail: string | null;
  createdAt: Date;
  startedAt: Date | null;
  endedAt: Date;
}
