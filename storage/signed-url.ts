/**
 * URLs of our own API that carry the right to read or write one object for a time. The signature is the whole right, so
 * it covers everything that decides: method, key, expiry, checksum, size and who it is for.
 */
import type { StoredKind } from '../domain/stored-kind.ts';
import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';

export interface ObjectGrant {
  method: 'GET' | 'PUT';
  key: string;
  /** Epoch seconds. */
  expires: number;
  /** Hex; the only bytes a PUT may bring. */
  sha256?: string;
  /** More bytes are refused. */
  mostBytes?: number;
  /** Whose the bytes of a PUT will be. */
  by?: Grantee;
}

export interface Grantee {
  owner: string;
  groups: string[];
  kind: StoredKind;
}

export type GrantCheck = { kind: 'granted'; grant: ObjectGrant } | { kind: 'refused'; reason: 'signature' | 'expired' };

export interface UrlSigner {
  sign(grant: ObjectGrant): string;
  /** What a request may do. HEAD goes with the right to GET. */
  check(method: 'GET' | 'PUT', url: URL): GrantCheck;
}

/** @param signingKey shared with other uses, therefore never used here itself but through HKDF */
export function createUrlSigner(options: { publicUrl: string; signingKey: string; now?: () => number }): UrlSigner {
  const key = Buffer.from(hkdfSync('sha256', options.signingKey, '', 'prominence object urls', 32));
  const base = `${options.publicUrl.replace(/\/+$/, '')}${route}`;
  const now = options.now ?? Date.now;
  return {
    sign(grant) {
      const query = new URLSearchParams({ expires: String(grant.expires) });
      if (grant.sha256 !== undefined) query.set('sha256', grant.sha256);
      if (grant.mostBytes !== undefined) query.set('most', String(grant.mostBytes));
      if (grant.by !== undefined) query.set('by', JSON.stringify(grant.by));
      query.set('signature', signature(key, grant, query.get('by') ?? '').toString('hex'));
      return `${base}${encodeKey(grant.key)}?${query}`;
    },
    check(method, url) {
      const objectKey = decodeKey(url.pathname);
      const expires = url.searchParams.get('expires') ?? '';
      const sha256 = url.searchParams.get('sha256') ?? undefined;
      const most = url.searchParams.get('most') ?? undefined;
      const by = url.searchParams.get('by') ?? '';
      if (objectKey === undefined || !/^\d{1,12}$/.test(expires)) return { kind: 'refused', reason: 'signature' };
      const grant: ObjectGrant = {
        method,
        key: objectKey,
        expires: Number(expires),
        ...(sha256 === undefined ? {} : { sha256 }),
        ...(most === undefined ? {} : { mostBytes: Number(most) }),
      };
      const given = Buffer.from(url.searchParams.get('signature') ?? '', 'hex');
      const wanted = signature(key, grant, by);
      if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) {
        return { kind: 'refused', reason: 'signature' };
      }
      if (grant.expires * 1000 < now()) return { kind: 'refused', reason: 'expired' };
      // Signed by us, so it is what we wrote.
      return { kind: 'granted', grant: by === '' ? grant : { ...grant, by: JSON.parse(by) as Grantee } };
    },
  };
}

const route = '/objects/';

/** The key comes last: it alone may hold a newline. */
function signature(
  key: Buffer,
  { method, key: objectKey, expires, sha256, mostBytes }: ObjectGrant,
  by: string,
): Buffer {
  return createHmac('sha256', key)
    .update([method, expires, sha256 ?? '', mostBytes ?? '', by, objectKey].join('\n'))
    .digest();
}

/** With readable slashes, but where a client or proxy would tidy them up: in `a/../b` and `a//b`. */
function encodeKey(key: string): string {
  const parts = key.split('/');
  return parts.some((part) => ['', '.', '..'].includes(part)) ? strictEncode(key) : parts.map(strictEncode).join('/');
}

/** encodeURIComponent leaves !'()* as they are; some clients encode them, and shells trip over them. */
function strictEncode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

function decodeKey(pathname: string): string | undefined {
  const start = pathname.indexOf(route);
  if (start < 0) return undefined;
  try {
    return decodeURIComponent(pathname.slice(start + route.length));
  } catch (error) {
    if (error instanceof URIError) return undefined;
    throw error;
  }
}
