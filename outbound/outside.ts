/**
 * What our processes fetch from servers that others chose: registries, servers of artifacts, identity providers. Addresses
 * are filtered, redirects lose what was meant for another server, and answers are bounded in bytes and time. Bodies are
 * given as they come: nothing is asked for compressed, and nothing is unpacked here.
 */
import { request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Readable } from 'node:stream';
import { Transform } from 'node:stream';
import { filteredAgents, isAddressRefused } from './address-filter.ts';

export type OutsideErrorCode =
  /** It did not answer, or broke off. */
  | 'unreachable'
  /** It is at an address that is not public, and no operator said that it may be asked. */
  | 'notPublic'
  /** It answered what is not taken: too much, a redirect without TLS, redirects without an end. */
  | 'refused';

export class OutsideError extends Error {
  override readonly name = 'OutsideError';
  readonly code: OutsideErrorCode;
  constructor(code: OutsideErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options);
    this.code = code;
  }
}

export interface OutsideRequest {
  method?: 'GET' | 'HEAD' | 'POST';
  headers?: Record<string, string>;
  body?: string;
  signal?: AbortSignal;
  /** Without an answer, or without another byte of it, for longer: the server is as good as away. */
  idleMilliseconds?: number;
  /** A longer body fails. */
  mostBytes: number;
  /** How many are followed; default none. A request with a body is never sent on. */
  redirects?: number;
  /** Whether a redirect may lead from https to http. */
  allowsPlain?: boolean;
}

export interface OutsideAnswer {
  status: number;
  headers: IncomingHttpHeaders;
  /** Where the answer came from, after redirects. */
  url: URL;
  /** Fails with OutsideError. Must be read or destroyed. */
  body: Readable;
}

export interface Outside {
  /** @throws OutsideError; the signal's reason */
  request(url: string | URL, request: OutsideRequest): Promise<OutsideAnswer>;
}

const usualIdleMilliseconds = 30_000;
/** Meant for one server alone. */
const secretHeaders = new Set(['authorization', 'cookie', 'proxy-authorization']);

/**
 * @param privateHosts servers that may be asked wherever they are: `host` (at the usual ports) or `host:port`
 */
export function createOutside(privateHosts: readonly string[]): Outside {
  const known = new Set(privateHosts.map((host) => host.toLowerCase()));
  const [filtered, unfiltered] = [false, true].map((allowPrivateAddresses) =>
    filteredAgents({ allowPrivateAddresses }),
  );
  const isKnown = ({ hostname, port, protocol }: URL) =>
    port === ''
      ? known.has(hostname) || known.has(`${hostname}:${protocol === 'https:' ? 443 : 80}`)
      : known.has(`${hostname}:${port}`);

  const once = (url: URL, given: OutsideRequest): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      const { method = 'GET', headers = {}, body, signal, idleMilliseconds = usualIdleMilliseconds } = given;
      const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
      const agent = (isKnown(url) ? unfiltered! : filtered!).for(url);
      const request = send(url, {
        method,
        agent,
        headers: { 'user-agent': 'prominence', 'accept-encoding': 'identity', ...headers },
        ...(signal ? { signal } : {}),
      });
      request.setTimeout(idleMilliseconds, () =>
        request.destroy(new OutsideError('unreachable', `${url.host} said nothing for ${idleMilliseconds / 1000} s`)),
      );
      request.on('response', resolve);
      request.on('error', (error) => reject(signal?.aborted ? (signal.reason as Error) : told(error, url)));
      request.end(body);
    });

  return {
    async request(address, given) {
      let url = asHttp(address);
      let headers = lowered(given.headers ?? {});
      for (let left = given.redirects ?? 0; ; left -= 1) {
        const answer = await once(url, { ...given, headers });
        const status = answer.statusCode ?? 0;
        const { location } = answer.headers;
        if (![301, 302, 303, 307, 308].includes(status) || location === undefined || given.redirects === undefined) {
          return { status, headers: answer.headers, url, body: bounded(answer, url, given) };
        }
        answer.destroy();
        if (left <= 0) throw new OutsideError('refused', `${url.host} redirects again and again`);
        if (given.body !== undefined) throw new OutsideError('refused', `${url.host} redirects what was sent to it`);
        if (!URL.canParse(location, url.href)) throw new OutsideError('refused', `${url.host} redirects to no address`);
        const next = asHttp(new URL(location, url));
        if (url.protocol === 'https:' && next.protocol === 'http:' && given.allowsPlain !== true) {
          throw new OutsideError('refused', `${url.host} redirects to an address without TLS`);
        }
        if (next.origin !== url.origin) headers = withoutSecrets(headers);
        url = next;
      }
    },
  };
}

/** The whole body, for answers that are documents. @throws OutsideError */
export async function wholeBody({ body }: OutsideAnswer): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of body) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
}

function asHttp(address: string | URL): URL {
  if (!URL.canParse(String(address))) throw new OutsideError('refused', 'what was to be asked is no URL');
  const url = new URL(address);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new OutsideError('refused', `only http and https are spoken, and not ${url.protocol.slice(0, -1)}`);
  }
  return url;
}

const lowered = (headers: Record<string, string>) =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
const withoutSecrets = (headers: Record<string, string>) =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !secretHeaders.has(name)));

function bounded(answer: IncomingMessage, url: URL, { mostBytes }: OutsideRequest): Readable {
  let bytes = 0;
  const counted = new Transform({
    transform(piece: Buffer, _encoding, done) {
      bytes += piece.length;
      if (bytes <= mostBytes) done(null, piece);
      else done(new OutsideError('refused', `${url.host} sent more than ${mostBytes} bytes`));
    },
  });
  answer.on('error', (error) => counted.destroy(told(error, url)));
  answer.on('aborted', () => counted.destroy(new OutsideError('unreachable', `${url.host} broke off its answer`)));
  counted.once('close', () => answer.destroy());
  // Whoever does not read it need not hear of its end.
  counted.on('error', () => {});
  return answer.pipe(counted);
}

function told(error: Error, url: URL): OutsideError {
  if (error instanceof OutsideError) return error;
  if (isAddressRefused(error)) {
    return new OutsideError('notPublic', `${url.hostname} is not a public address, and only such are asked`);
  }
  return new OutsideError('unreachable', error.message || ((error as NodeJS.ErrnoException).code ?? 'no connection'), {
    cause: error,
  });
}
