/** Typed client of the REST API. Each method is one request, except `upload`; nothing is retried behind the caller. */
import { createRequests, idempotent, readOutput, sendJson, type ClientOptions, type OutputRange } from './requests.ts';
import { createWorkflowClient, type WorkflowClient } from './workflows.ts';
import { filterQuery } from './filter.ts';
import type { JobDetail, JobDocument, JobFilter, JobSummary, StoredUpload } from './types.ts';

export type { ClientOptions, OutputRange };

export interface Client {
  workflows: WorkflowClient;
  /** @returns the job's id. @param idempotencyKey repeating a submit with the same key makes no second job */
  submit(job: JobDocument, options?: { idempotencyKey?: string }): Promise<number>;
  /** Undefined when there is no such job of this user. */
  describe(id: number): Promise<JobDetail | undefined>;
  list(filter?: JobFilter): Promise<JobSummary[]>;
  delete(...ids: number[]): Promise<void>;
  /** Works while the job runs and after. */
  stdout(id: number, range?: OutputRange): Promise<Buffer>;
  stderr(id: number, range?: OutputRange): Promise<Buffer>;
  /** Stores bytes under the name, for use as a job's image or artifact. */
  upload(name: string, content: Uint8Array<ArrayBuffer>): Promise<void>;
  uploads(): Promise<StoredUpload[]>;
  deleteUpload(name: string): Promise<void>;
}

/** Every method throws ApiRefused for an answer other than the one meant, ApiUnreachable when there is none. */
export function createClient(options: ClientOptions): Client {
  const requests = createRequests(options);
  const { request } = requests;
  return {
    workflows: createWorkflowClient(requests),
    async submit(job, { idempotencyKey } = {}) {
      const response = await request('POST', '/jobs', 201, sendJson(job, idempotent(idempotencyKey)));
      return ((await response.json()) as { id: number }).id;
    },
    async describe(id) {
      const [job] = (await (await request('GET', `/jobs/${id}`, 200)).json()) as JobDetail[];
      return job;
    },
    async list(filter = {}) {
      return (await (await request('GET', `/jobs${filterQuery(filter)}`, 200)).json()) as JobSummary[];
    },
    async delete(...ids) {
      await request('DELETE', ids.length === 1 ? `/jobs/${ids[0]}` : `/jobs?id=${ids.join(',')}`, 200);
    },
    stdout: (id, range) => readOutput(requests, `/jobs/${id}`, 'stdout', range),
    stderr: (id, range) => readOutput(requests, `/jobs/${id}`, 'stderr', range),
    async upload(name, content) {
      const answer = await request('POST', '/data/upload', 201, sendJson({ filename: name }));
      const { url } = (await answer.json()) as { url: string };
      // The signature is in the URL: our own token is no business of the object store.
      await requests.put(url, content, `PUT of ${name} to the object store`);
    },
    async uploads() {
      const answer = await request('GET', '/data', 200);
      const entries = (await answer.json()) as { name: string; size: number; lastModified: string }[];
      return entries.map(({ name, size, lastModified }) => ({ name, sizeBytes: size, lastModified }));
    },
    async deleteUpload(name) {
      await request('DELETE', `/data/${name.split('/').map(encodeURIComponent).join('/')}`, 204);
    },
  };
}
