/** Workflows over the REST API; each method is one request. */
import { filterQuery } from './filter.ts';
import { idempotent, readOutput, sendJson, type OutputRange, type Requests } from './requests.ts';
import type { ListFilter } from './types.ts';
import type {
  JobSelection,
  WorkflowDetail,
  WorkflowDocument,
  WorkflowGraph,
  WorkflowPlan,
  WorkflowSummary,
} from './workflow-types.ts';

/** A job of a workflow by its name in the document; the instance where a factory makes several. */
export interface NamedJob {
  workflowId: number;
  job: string;
  instance?: number;
}

export interface WorkflowClient {
  /** @returns the workflow's id. @param idempotencyKey repeating a submit with the same key makes no second workflow */
  submit(workflow: WorkflowDocument, options?: { idempotencyKey?: string }): Promise<number>;
  /** Checks as a submit does, and submits nothing. */
  dryRun(workflow: WorkflowDocument): Promise<WorkflowPlan>;
  /** Undefined when there is no such workflow of this user. */
  describe(id: number): Promise<WorkflowDetail | undefined>;
  graph(id: number): Promise<WorkflowGraph>;
  list(filter?: ListFilter): Promise<WorkflowSummary[]>;
  delete(...ids: number[]): Promise<void>;
  /** Ends the retention by leaveInQueue. */
  remove(id: number): Promise<void>;
  /**
   * @returns the id of a new workflow. Without a selection it runs all that did not succeed in this one, which must have
   * ended; with one, what is selected, keeping what else succeeded and leaving out the rest
   */
  rerun(id: number, selection?: JobSelection): Promise<number>;
  /** Ends the selected jobs that run or wait. @returns how many */
  cancel(id: number, selection: JobSelection): Promise<number>;
  /** @returns the id of a new workflow from the same document */
  clone(id: number): Promise<number>;
  stdout(job: NamedJob, range?: OutputRange): Promise<Buffer>;
  stderr(job: NamedJob, range?: OutputRange): Promise<Buffer>;
}

export function createWorkflowClient(requests: Requests): WorkflowClient {
  const { request } = requests;
  const answer = async <T>(method: string, path: string, expected: number, init?: RequestInit): Promise<T> =>
    (await (await request(method, path, expected, init)).json()) as T;
  const newId = async (...call: Parameters<typeof answer>): Promise<number> =>
    (await answer<{ id: number }>(...call)).id;

  return {
    submit: (workflow, { idempotencyKey } = {}) =>
      newId('POST', '/workflows', 201, sendJson(workflow, idempotent(idempotencyKey))),
    dryRun: (workflow) => answer('POST', '/workflows?dryrun=true', 200, sendJson(workflow)),
    describe: async (id) => (await answer<WorkflowDetail[]>('GET', `/workflows/${id}`, 200))[0],
    graph: (id) => answer('GET', `/workflows/${id}/graph`, 200),
    list: (filter = {}) => answer('GET', `/workflows${filterQuery(filter)}`, 200),
    async delete(...ids) {
      await request('DELETE', `/workflows?id=${ids.join(',')}`, 200);
    },
    async remove(id) {
      await request('PUT', `/workflows/${id}/remove`, 200);
    },
    rerun: (id, selection) => newId('PUT', `/workflows/${id}`, 200, selection && sendJson(selection)),
    cancel: async (id, selection) => {
      const path = `/workflows/${id}/cancel`;
      return (await answer<{ cancelled: number }>('PUT', path, 200, sendJson(selection))).cancelled;
    },
    clone: (id) => newId('PUT', `/workflows/${id}/clone`, 201),
    stdout: (job, range) => readOutput(requests, pathOf(job), 'stdout', range),
    stderr: (job, range) => readOutput(requests, pathOf(job), 'stderr', range),
  };
}

function pathOf({ workflowId, job, instance }: NamedJob): string {
  const named = `/workflows/${workflowId}/${encodeURIComponent(job)}`;
  return instance === undefined ? named : `${named}/${instance}`;
}
