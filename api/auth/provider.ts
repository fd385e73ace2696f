/**
 * Talking to an identity provider: its discovery document, and bounded requests to the endpoints that names. Nothing a
 * user sends decides where a request goes, and what the provider names leads to no other private address than its own.
 */
import type { IssuerConfig } from '../../config/config.ts';
import { withoutTrailingSlashes } from '../../domain/slashes.ts';
import { createOutside, wholeBody } from '../../outbound/outside.ts';

/** The provider could not be asked. Says nothing about the token. */
export class ProviderUnreachable extends Error {
  override readonly name = 'ProviderUnreachable';
}

export const timeoutMs = 10_000;
const mostBytes = 1_048_576;

export interface Provider {
  issuer: string;
  jwks_uri?: string;
  userinfo_endpoint?: string;
  registration_endpoint?: string;
  device_authorization_endpoint?: string;
  token_endpoint?: string;
}
const endpoints = [
  'jwks_uri',
  'userinfo_endpoint',
  'registration_endpoint',
  'device_authorization_endpoint',
  'token_endpoint',
] as const satisfies (keyof Provider)[];

export const isSameIssuer = (a: string, b: string): boolean => withoutTrailingSlashes(a) === withoutTrailingSlashes(b);

export interface ProviderRequest {
  method?: 'GET' | 'POST';
  headers?: Record<string, string>;
  body?: string | URLSearchParams;
  /** Redirects are not followed unless told: a request may carry credentials. */
  followsRedirects?: boolean;
}

/** The answer is whole, and of a sane size. @throws ProviderUnreachable */
export type Ask = (url: string, request?: ProviderRequest) => Promise<Response>;

const mostRedirects = 5;

/** How one issuer is asked: it may be where the operator put it, and what else it names must be public or listed. */
export function askerOf({ issuer, privateHosts = [] }: Pick<IssuerConfig, 'issuer' | 'privateHosts'>): Ask {
  const outside = createOutside([new URL(issuer).host, ...privateHosts]);
  return async (url, { method = 'GET', headers = {}, body, followsRedirects = false } = {}) => {
    const form = body instanceof URLSearchParams ? { 'content-type': 'application/x-www-form-urlencoded' } : {};
    try {
      const answer = await outside.request(url, {
        method,
        headers: { accept: 'application/json', ...form, ...headers },
        ...(body === undefined ? {} : { body: body.toString() }),
        mostBytes,
        signal: AbortSignal.timeout(timeoutMs),
        ...(followsRedirects ? { redirects: mostRedirects } : {}),
      });
      const content = await wholeBody(answer);
      const { status } = answer;
      if (status >= 300 && status < 400) throw new Error(`it redirects (${status})`);
      return new Response(status === 204 || status === 205 ? null : new Uint8Array(content), { status });
    } catch (error) {
      throw new ProviderUnreachable(url, { cause: error });
    }
  };
}

/** Fetched when first needed, so that we start without the provider; a failure is not remembered. */
export function discovery(issuer: string, ask: Ask): () => Promise<Provider> {
  let known: Promise<Provider> | undefined;
  return () => {
    known ??= discover(issuer, ask).catch((error: unknown) => {
      known = undefined;
      throw error;
    });
    return known;
  };
}

async function discover(issuer: string, ask: Ask): Promise<Provider> {
  const url = `${withoutTrailingSlashes(issuer)}/.well-known/openid-configuration`;
  const response = await ask(url, { followsRedirects: true });
  if (!response.ok) throw new ProviderUnreachable(`${url} answered ${response.status}`);
  const document = await readJson(url, response);
  const { issuer: name } = document;
  if (typeof name !== 'string' || !isSameIssuer(name, issuer)) {
    throw new ProviderUnreachable(`${url} is about another issuer: ${String(name)}`);
  }
  const named = endpoints.filter((endpoint) => typeof document[endpoint] === 'string');
  return { issuer: name, ...Object.fromEntries(named.map((endpoint) => [endpoint, document[endpoint]])) };
}

/** Whatever the status is. @throws ProviderUnreachable for anything but a JSON object */
export async function readJson(url: string, response: Response): Promise<Record<string, unknown>> {
  try {
    const body: unknown = await response.json();
    if (typeof body === 'object' && body !== null && !Array.isArray(body)) return body as Record<string, unknown>;
  } catch (error) {
    throw new ProviderUnreachable(`${url} did not answer JSON`, { cause: error });
  }
  throw new ProviderUnreachable(`${url} did not answer a JSON object`);
}
