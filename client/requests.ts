/** What every method of the client is made of: one request, and an answer other than the one meant is an error. */
import { ApiRefused, ApiUnreachable } from './errors.ts';

export interface ClientOptions {
  /** Including the prefix: `http://127.0.0.1:8080/prominence/v1`. */
  url: string;
  token: string;
  /** Per request; default 150 s. */
  timeoutSeconds?: number;
}

export interface Requests {
  /** @throws ApiRefused for another status than `expected`, ApiUnreachable when there is no answer */
  request(method: string, path: string, expected: number, init?: RequestInit): Promise<Response>;
  /** To somebody else, without our token. */
  put(url: string, body: Uint8Array<ArrayBuffer>, what: string): Promise<void>;
}

export function createRequests(options: ClientOptions): Requests {
  const base = options.url.replace(/\/+$/, '');
  const timeoutMs = (options.timeoutSeconds ?? 150) * 1000;
  const authorization = `Bearer ${options.token}`;
  return {
    async request(method, path, expected, init = {}) {
      const headers = { authorization, ...(init.headers as Record<string, string> | undefined) };
      const response = await send(`${base}${path}`, { ...init, method, headers }, timeoutMs);
      if (response.status !== expected) throw await refusal(`${method} ${path}`, response);
      return response;
    },
    async put(url, body, what) {
      const stored = await send(url, { method: 'PUT', body }, timeoutMs);
      if (![200, 201, 204].includes(stored.status)) throw await refusal(what, stored);
    },
  };
}

export const sendJson = (body: unknown, headers: Record<string, string> = {}): RequestInit => ({
  body: JSON.stringify(body),
  headers: { 'content-type': 'application/json', ...headers },
});

export const idempotent = (key: string | undefined): Record<string, string> =>
  key === undefined ? {} : { 'idempotency-key': key };

export interface OutputRange {
  /** From 0. */
  node?: number;
  /** Where to start reading. */
  offsetBytes?: number;
}

/** @param path of the job, under the API's prefix */
export async function readOutput(
  { request }: Requests,
  path: string,
  stream: 'stdout' | 'stderr',
  range: OutputRange = {},
): Promise<Buffer> {
  const query = `node=${range.node ?? 0}&offset=${range.offsetBytes ?? 0}`;
  return Buffer.from(await (await request('GET', `${path}/${stream}?${query}`, 200)).arrayBuffer());
}

async function send(url: string, init: RequestInit, timeoutMs: number): Promise<Response> {
  try {
    return await fetch(url, { ...init, signal: AbortSignal.timeout(timeoutMs) });
  } catch (error) {
    const { cause, message } = error as Error;
    const reason = cause instanceof Error ? cause.message : message;
    throw new ApiUnreachable(`no answer from ${new URL(url).origin}: ${reason}`, { cause: error });
  }
}

async function refusal(request: string, response: Response): Promise<ApiRefused> {
  const text = await response.text();
  return new ApiRefused(request, response.status, errorField(text) ?? (text.slice(0, 200) || response.statusText));
}

function errorField(text: string): string | undefined {
  try {
    const { error, detail } = JSON.parse(text) as { error?: unknown; detail?: unknown };
    if (typeof error !== 'string') return undefined;
    return typeof detail === 'string' ? `${error}: ${detail}` : error;
  } catch {
    // Not JSON: something between us and the API answered.
    return undefined;
  }
}
