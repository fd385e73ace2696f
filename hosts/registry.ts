/**
 * The digest behind a tag, asked from the registry itself (OCI distribution specification, HEAD of a manifest). Done in
 * our process so that equal images are recognised before a machine pulls anything.
 */
import { ImageError } from './machine.ts';

export interface RegistryQuestion {
  reference: string;
  credential?: { username: string; token: string };
  /** Plain HTTP. */
  insecure: boolean;
}

export interface ParsedReference {
  /** Where the API answers: `registry-1.docker.io` for names without a host. */
  host: string;
  repository: string;
  tag: string;
  digest?: string;
}

const manifestTypes = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ');
const answerMilliseconds = 15_000;

/**
 * Undefined when this process can't reach the registry, which the machine may well.
 * @throws ImageError notFound or unauthorized, when the registry said so
 */
export async function resolveDigest(question: RegistryQuestion, signal?: AbortSignal): Promise<string | undefined> {
  const parsed = parseReference(question.reference);
  if (!parsed) throw new ImageError('invalid', `not an image reference: ${question.reference}`);
  if (parsed.digest !== undefined) return parsed.digest;
  const scheme = question.insecure ? 'http' : 'https';
  const url = `${scheme}://${parsed.host}/v2/${parsed.repository}/manifests/${parsed.tag}`;
  const limit = AbortSignal.timeout(answerMilliseconds);
  const bounded = signal ? AbortSignal.any([signal, limit]) : limit;
  try {
    const ask = (authorization?: string) =>
      fetch(url, {
        method: 'HEAD',
        headers: { accept: manifestTypes, ...(authorization ? { authorization } : {}) },
        signal: bounded,
      });
    let response = await ask();
    if (response.status === 401) {
      const challenge = parseChallenge(response.headers.get('www-authenticate') ?? '');
      const authorization = await authorize(challenge, question, bounded);
      if (authorization !== undefined) response = await ask(authorization);
    }
    if (response.ok) return response.headers.get('docker-content-digest') ?? undefined;
    if (response.status === 404)
      throw new ImageError('notFound', `${question.reference}: the registry has no such image`);
    if (response.status === 401 || response.status === 403) {
      throw new ImageError('unauthorized', `${question.reference}: the registry refused (${response.status})`);
    }
    return undefined;
  } catch (error) {
    if (error instanceof ImageError) throw error;
    signal?.throwIfAborted();
    // fetch throws TypeError for what the network did and DOMException for our time limit.
    if (error instanceof TypeError || error instanceof DOMException) return undefined;
    throw error;
  }
}

/** `name`, `user/name:tag`, `host:port/path/name@sha256:...`; undefined for what is none. */
export function parseReference(reference: string): ParsedReference | undefined {
  const match = /^(?<path>[^@\s]+?)(?::(?<tag>[A-Za-z0-9_][A-Za-z0-9_.-]*))?(?:@(?<digest>sha256:[0-9a-f]{64}))?$/.exec(
    reference,
  );
  if (!match?.groups) return undefined;
  const parts = match.groups['path']!.split('/');
  const [first = ''] = parts;
  const hasHost = parts.length > 1 && (first.includes('.') || first.includes(':') || first === 'localhost');
  const host = hasHost ? parts.shift()! : 'docker.io';
  if (parts.some((part) => !/^[a-z0-9]+(?:[._-]+[a-z0-9]+)*$/.test(part))) return undefined;
  const isHub = host === 'docker.io' || host === 'index.docker.io';
  const digest = match.groups['digest'];
  return {
    host: isHub ? 'registry-1.docker.io' : host,
    repository: isHub && parts.length === 1 ? `library/${parts[0]}` : parts.join('/'),
    tag: match.groups['tag'] ?? 'latest',
    ...(digest !== undefined ? { digest } : {}),
  };
}

/** With the host that answers and the tag, as parts that a program need not guess. */
export function wholeReference(reference: string): string {
  const parsed = parseReference(reference);
  if (!parsed) throw new ImageError('invalid', `not an image reference: ${reference}`);
  const { host, repository, tag, digest } = parsed;
  return `${host}/${repository}${digest === undefined ? `:${tag}` : `@${digest}`}`;
}

/** The same image by its digest, in the form a puller takes. */
export function pinned(reference: string, digest: string): string {
  const withoutDigest = reference.split('@')[0]!;
  return `${withoutDigest.replace(/:[A-Za-z0-9_][A-Za-z0-9_.-]*$/, (tag) => (tag.includes('/') ? tag : ''))}@${digest}`;
}

export interface Challenge {
  scheme: string;
  parameters: Record<string, string>;
}

/** `Bearer realm="https://...",service="...",scope="..."` */
export function parseChallenge(header: string): Challenge {
  const [scheme = '', ...rest] = header.split(' ');
  const parameters = Object.fromEntries(
    [...rest.join(' ').matchAll(/(\w+)="([^"]*)"/g)].map((match) => [match[1]!, match[2]!]),
  );
  return { scheme: scheme.toLowerCase(), parameters };
}

async function authorize(
  challenge: Challenge,
  question: RegistryQuestion,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { credential } = question;
  const basic = credential && `Basic ${Buffer.from(`${credential.username}:${credential.token}`).toString('base64')}`;
  if (challenge.scheme === 'basic') return basic;
  const { realm, service, scope } = challenge.parameters;
  if (challenge.scheme !== 'bearer' || realm === undefined || !URL.canParse(realm)) return undefined;
  const url = new URL(realm);
  // A password never goes out in the clear unless this registry was said to be spoken to so.
  if (url.protocol !== 'https:' && !question.insecure) return undefined;
  if (service !== undefined) url.searchParams.set('service', service);
  if (scope !== undefined) url.searchParams.set('scope', scope);
  const response = await fetch(url, { headers: basic ? { authorization: basic } : {}, signal });
  if (!response.ok) return undefined;
  const answer = (await response.json()) as { token?: string; access_token?: string };
  const token = answer.token ?? answer.access_token;
  return token === undefined ? undefined : `Bearer ${token}`;
}
