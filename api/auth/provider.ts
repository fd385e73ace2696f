/**
 * Talking to an identity provider: its discovery document, and bounded requests to the endpoints that names. Nothing a
 * user sends decides where a request goes.
 */
import { withoutTrailingSlashes } from '../../domain/slashes.ts';

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

/** Fetched when first needed, so that we start without the provider; a failure is not remembered. */
export function discovery(issuer: string): () => Promise<Provider> {
  let known: Promise<Provider> | undefined;
  return () => {
    known ??= discover(issuer).catch((error: unknown) => {
      known = undefined;
      throw error;
    });
    return known;
  };
}

async function discover(issuer: string): Promise<Provider> {
  const url = `${withoutTrailingSlashes(issuer)}/.well-known/openid-configuration`;
  const response = await ask(url, { redirect: 'follow' });
  if (!response.ok) throw new ProviderUnreachable(`${url} answered ${response.status}`);
  const document = await readJson(url, response);
  const { issuer: name } = document;
  if (typeof name !== 'string' || !isSameIssuer(name, issuer)) {
    throw new ProviderUnreachable(`${url} is about another issuer: ${String(name)}`);
  }
  const named = endpoints.filter((endpoint) => typeof document[endpoint] === 'string');
  return { issuer: name, ...Object.fromEntries(named.map((endpoint) => [endpoint, document[endpoint]])) };
}

/** Redirects are not followed unless told: a request may carry credentials. @throws ProviderUnreachable */
export async function ask(url: string, init: RequestInit = {}): Promise<Response> {
  try {
    return await fetch(url, { redirect: 'error', ...init, signal: AbortSignal.timeout(timeoutMs) });
  } catch (error) {
    throw new ProviderUnreachable(url, { cause: error });
  }
}

/** Whatever the status is. @throws ProviderUnreachable for anything but a JSON object of a sane size */
export async function readJson(url: string, response: Response): Promise<Record<string, unknown>> {
  try {
    const body: unknown = JSON.parse(await readText(response));
    if (typeof body === 'object' && body !== null && !Array.isArray(body)) return body as Record<string, unknown>;
  } catch (error) {
    throw new ProviderUnreachable(`${url} did not answer JSON`, { cause: error });
  }
  throw new ProviderUnreachable(`${url} did not answer a JSON object`);
}

async function readText(response: Response): Promise<string> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of response.body ?? []) {
    bytes += piece.byteLength;
    if (bytes > mostBytes) throw new Error(`more than ${mostBytes} bytes`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString('utf8');
}
