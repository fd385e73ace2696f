/**
 * What a registry has under a reference, asked from the registry itself (OCI distribution specification, HEAD of a manifest).
 * Done in our process so that equal images are recognised before a machine pulls anything, and so that a machine gives
 * what it has only to whom the registry would give it as well.
 */
import { createHash } from 'node:crypto';
import { createOutside, OutsideError, wholeBody, type Outside, type OutsideAnswer } from '../outbound/outside.ts';
import { ImageError } from './machine.ts';

export interface RegistryQuestion {
  reference: string;
  credential?: { username: string; token: string };
  /** Plain HTTP, as an operator said; so it may also be at an address that is not public. */
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
/** As the specification has it for manifests. */
const mostManifestBytes = 4 * 1024 * 1024;
const mostTokenBytes = 1024 * 1024;
const mostRedirects = 5;

const digestPattern = /^sha256:[0-9a-f]{64}$/;
export const isDigest = (text: string): boolean => digestPattern.test(text);

/**
 * The digest of what the registry has under this reference, and gives to who shows this credential; that of a reference
 * with a digest too. Undefined when this process can't ask the registry, which the machine may well.
 * @param privateHosts besides an insecure registry, what may be asked at addresses that are not public
 * @throws ImageError notFound or unauthorized, when the registry said so
 */
export async function resolveDigest(
  question: RegistryQuestion,
  privateHosts: readonly string[] = [],
  signal?: AbortSignal,
): Promise<string | undefined> {
  const parsed = parseReference(question.reference);
  if (!parsed) throw new ImageError('invalid', `not an image reference: ${question.reference}`);
  const limit = AbortSignal.timeout(answerMilliseconds);
  const bounded = signal ? AbortSignal.any([signal, limit]) : limit;
  const outside = createOutside(question.insecure ? [...privateHosts, parsed.host] : privateHosts);
  const conversation = new Conversation(outside, question, parsed, bounded);
  try {
    return await conversation.digest();
  } catch (error) {
    if (error instanceof ImageError) throw error;
    signal?.throwIfAborted();
    if (error instanceof OutsideError || limit.aborted) return undefined;
    throw error;
  }
}

/** One question, with the token that it was told to bring. */
class Conversation {
  private readonly outside: Outside;
  private readonly question: RegistryQuestion;
  private readonly parsed: ParsedReference;
  private readonly signal: AbortSignal;
  private authorization: string | undefined;

  constructor(outside: Outside, question: RegistryQuestion, parsed: ParsedReference, signal: AbortSignal) {
    this.outside = outside;
    this.question = question;
    this.parsed = parsed;
    this.signal = signal;
  }

  async digest(): Promise<string | undefined> {
    const { tag, digest } = this.parsed;
    const head = await this.ask('HEAD', digest ?? tag);
    head.body.destroy();
    if (!this.isGiven(head)) return undefined;
    // What is pulled by it is compared with it, whatever else the registry may say.
    if (digest !== undefined) return digest;
    const told = head.headers['docker-content-digest'];
    if (typeof told === 'string' && isDigest(told)) return told;
    const answer = await this.ask('GET', tag);
    if (!this.isGiven(answer)) {
      answer.body.destroy();
      return undefined;
    }
    return `sha256:${createHash('sha256')
      .update(await wholeBody(answer))
      .digest('hex')}`;
  }

  private async ask(method: 'HEAD' | 'GET', name: string): Promise<OutsideAnswer> {
    const scheme = this.question.insecure ? 'http' : 'https';
    const url = `${scheme}://${this.parsed.host}/v2/${this.parsed.repository}/manifests/${name}`;
    const once = () =>
      this.outside.request(url, {
        method,
        headers: { accept: manifestTypes, ...(this.authorization ? { authorization: this.authorization } : {}) },
        signal: this.signal,
        mostBytes: mostManifestBytes,
        redirects: mostRedirects,
        allowsPlain: this.question.insecure,
      });
    const answer = await once();
    if (answer.status !== 401 || this.authorization !== undefined) return answer;
    const challenge = parseChallenge(String(answer.headers['www-authenticate'] ?? ''));
    this.authorization = await authorize(this.outside, challenge, this.question, this.parsed.host, this.signal);
    if (this.authorization === undefined) return answer;
    answer.body.destroy();
    return once();
  }

  private isGiven({ status }: OutsideAnswer): boolean {
    const { reference } = this.question;
    if (status === 404) throw new ImageError('notFound', `${reference}: the registry has no such image`);
    if (status === 401 || status === 403) {
      throw new ImageError('unauthorized', `${reference}: the registry refused (${status})`);
    }
    return status >= 200 && status < 300;
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
  outside: Outside,
  challenge: Challenge,
  question: RegistryQuestion,
  host: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { credential } = question;
  const basic = credential && `Basic ${Buffer.from(`${credential.username}:${credential.token}`).toString('base64')}`;
  if (challenge.scheme === 'basic') return basic;
  const { realm, service, scope } = challenge.parameters;
  if (challenge.scheme !== 'bearer' || realm === undefined || !URL.canParse(realm)) return undefined;
  const url = new URL(realm);
  // A password goes out in the clear only to a registry that was said to be spoken to so.
  if (url.protocol !== 'https:' && !(question.insecure && url.host === host)) return undefined;
  if (service !== undefined) url.searchParams.set('service', service);
  if (scope !== undefined) url.searchParams.set('scope', scope);
  const headers = basic ? { authorization: basic } : {};
  const answer = await outside.request(url, { headers, signal, mostBytes: mostTokenBytes });
  const body = await wholeBody(answer);
  if (answer.status !== 200) return undefined;
  const token = tokenIn(body.toString());
  return token === undefined ? undefined : `Bearer ${token}`;
}

function tokenIn(body: string): string | undefined {
  try {
    const answer = JSON.parse(body) as { token?: unknown; access_token?: unknown } | null;
    const token = answer?.token ?? answer?.access_token;
    // It becomes a header.
    return typeof token === 'string' && /^[\x21-\x7e]+$/.test(token) ? token : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
