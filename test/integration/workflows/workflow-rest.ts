/** Workflows over the REST API as a test sees them: submits, and watching to the end with what must hold at every look. */
import { expect } from 'vitest';
import { isTerminal, type JobStatus } from '../../../domain/status.ts';
import { eventually, type DescribedJob, type Rest } from '../../ground/rest.ts';

export interface Progress {
  total: number;
  done: number;
  failed: number;
  queued: number;
  waiting: number;
  deleted?: number;
}

export interface DescribedWorkflow {
  id: number;
  name: string;
  status: JobStatus;
  statusReason?: string;
  statusDetail?: string;
  events: { createTime: number; startTime?: number; endTime?: number };
  progress: Progress;
  rerunOf?: number;
}

export interface ListedInstance extends DescribedJob {
  parameters?: Record<string, string | number>;
}

export class WorkflowRest {
  readonly rest: Rest;

  constructor(rest: Rest) {
    this.rest = rest;
  }

  async submit(workflow: Record<string, unknown>): Promise<number> {
    return this.idOf(await this.rest.request('POST', '/workflows', workflow));
  }

  async rerun(id: number): Promise<number> {
    return this.idOf(await this.rest.request('PUT', `/workflows/${id}`));
  }

  async delete(id: number): Promise<void> {
    const response = await this.rest.request('DELETE', `/workflows/${id}`);
    if (response.status !== 200) throw new Error(`${response.status}: ${await response.text()}`);
  }

  async describe(id: number): Promise<DescribedWorkflow> {
    const response = await this.rest.request('GET', `/workflows/${id}`);
    if (response.status !== 200) throw new Error(`${response.status}: ${await response.text()}`);
    const [workflow] = (await response.json()) as DescribedWorkflow[];
    if (!workflow) throw new Error(`there is no workflow ${id}`);
    return workflow;
  }

  /** In the order of their ids. */
  async jobs(id: number): Promise<ListedInstance[]> {
    const response = await this.rest.request('GET', `/jobs?id=${id}&workflow=true&num=-1&all=true&detail=true`);
    if (response.status !== 200) throw new Error(`${response.status}: ${await response.text()}`);
    return ((await response.json()) as ListedInstance[]).sort((a, b) => a.id - b.id);
  }

  async until(
    id: number,
    isIt: (workflow: DescribedWorkflow) => boolean,
    seconds = 60,
    everyMilliseconds = 100,
  ): Promise<DescribedWorkflow> {
    let last: unknown;
    return eventually(
      async () => {
        last = await this.describe(id).catch((error: unknown) => error);
        return last instanceof Error || !isIt(last as DescribedWorkflow) ? undefined : (last as DescribedWorkflow);
      },
      () =>
        `workflow ${id} did not get there in ${seconds} s: ${last instanceof Error ? last.message : JSON.stringify(last)}`,
      seconds,
      everyMilliseconds,
    );
  }

  /** To its end. At every look the counts add up, nothing done is undone, and the status goes one way. */
  async ended(id: number, seconds = 120): Promise<DescribedWorkflow> {
    let earlier: DescribedWorkflow | undefined;
    return this.until(
      id,
      (workflow) => {
        const { total, done, failed, queued, waiting, deleted = 0 } = workflow.progress;
        expect(done + failed + queued + waiting + deleted).toBe(total);
        expect(Math.min(done, failed, queued, waiting, deleted)).toBeGreaterThanOrEqual(0);
        if (earlier) {
          expect(done).toBeGreaterThanOrEqual(earlier.progress.done);
          // What ended by the deletion of its workflow is told apart at the end of that.
          expect(failed + deleted).toBeGreaterThanOrEqual(earlier.progress.failed);
          if (earlier.status === 'running') expect(workflow.status).not.toBe('pending');
        }
        if (queued > 0) expect(workflow.status).toBe('running');
        earlier = workflow;
        return isTerminal(workflow.status);
      },
      seconds,
    );
  }

  private async idOf(response: Response): Promise<number> {
    const answer = (await response.json()) as { id?: number; error?: string };
    if (answer.id === undefined) throw new Error(`${response.status}: ${answer.error}`);
    return answer.id;
  }
}
