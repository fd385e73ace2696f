/** The REST API as a test sees it: plain requests, and waiting for conditions. */
import { setTimeout as pause } from 'node:timers/promises';
import { isTerminal, type JobStatus } from '../../domain/status.ts';

export interface DescribedJob {
  id: number;
  name: string;
  status: JobStatus;
  statusReason?: string;
  statusDetail?: string;
  tasks: Record<string, unknown>[];
  events: { createTime: number; startTime?: number; endTime?: number };
  outputFiles?: { name: string; url: string; size?: number }[];
  outputDirs?: { name: string; url: string; size?: number }[];
  execution: {
    site?: string;
    retries?: number;
    tasks: { exitCode?: number; retries?: number; imagePullStatus?: string; error?: string; wallTimeUsage?: number }[];
    attempts?: { attempt: number; machine: string; outcome?: string }[];
    [more: string]: unknown;
  };
  [more: string]: unknown;
}

export class Rest {
  readonly url: string;
  private readonly token: string;

  constructor(apiUrl: string, token: string) {
    this.url = `${apiUrl}/v1`;
    this.token = token;
  }

  request(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Response> {
    return fetch(`${this.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${this.token}`, 'content-type': 'application/json', ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }

  /** @throws when it was not accepted, with the answer */
  async submit(job: Record<string, unknown>, headers: Record<string, string> = {}): Promise<number> {
    const response = await this.request('POST', '/jobs', job, headers);
    const answer = (await response.json()) as { id?: number; error?: string };
    if (response.status !== 201 || answer.id === undefined) throw new Error(`${response.status}: ${answer.error}`);
    return answer.id;
  }

  async describe(id: number): Promise<DescribedJob> {
    const response = await this.request('GET', `/jobs/${id}`);
    if (response.status !== 200) throw new Error(`${response.status}: ${await response.text()}`);
    const [job] = (await response.json()) as DescribedJob[];
    if (!job) throw new Error(`there is no job ${id}`);
    return job;
  }

  async output(id: number, stream: 'stdout' | 'stderr' = 'stdout', offset = 0): Promise<string> {
    const response = await this.request('GET', `/jobs/${id}/${stream}?offset=${offset}`);
    return response.text();
  }

  /** Wait until a job is as asked. Goes on over answers that say the service is away. */
  async until(id: number, isIt: (job: DescribedJob) => boolean, seconds = 60): Promise<DescribedJob> {
    let last: unknown;
    return eventually(
      async () => {
        try {
          const job = await this.describe(id);
          last = job;
          return isIt(job) ? job : undefined;
        } catch (error) {
          last = error;
          return undefined;
        }
      },
      () =>
        `job ${id} did not get there in ${seconds} s: ${last instanceof Error ? last.message : JSON.stringify(last)}`,
      seconds,
    );
  }

  ended(id: number, seconds = 60): Promise<DescribedJob> {
    return this.until(id, (job) => isTerminal(job.status), seconds);
  }

  /** Upload bytes the way users do: announced to the API, PUT to the store. */
  async upload(name: string, bytes: Uint8Array): Promise<void> {
    const response = await this.request('POST', '/data/upload', { filename: name });
    const { url } = (await response.json()) as { url: string };
    const put = await fetch(url, { method: 'PUT', body: bytes });
    if (put.status !== 200) throw new Error(`the store answered ${put.status}: ${await put.text()}`);
  }
}

/** Ask until there is an answer. @throws after the time, with what `complaint` says */
export async function eventually<T>(
  ask: () => Promise<T | undefined>,
  complaint: () => string,
  seconds = 60,
  everyMilliseconds = 100,
): Promise<T> {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (Date.now() > end) throw new Error(complaint());
    await pause(everyMilliseconds);
  }
}
