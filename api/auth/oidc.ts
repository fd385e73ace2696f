/**
 * Tokens of identity providers. A provider is asked for its keys (or, where its access tokens can't be verified by
 * keys, for what it knows of the token); only asymmetric signatures count, so a public key can't be used as a secret.
 */
import { createHash } from 'node:crypto';
import { createRemoteJWKSet, customFetch, decodeJwt, errors, jwtVerify, type JWTPayload } from 'jose';
import { anyAudience, type IssuerConfig } from '../../config/config.ts';
import type { Identity } from '../../db/submissions.ts';
import { entitledIdentity } from './identity.ts';
import { askerOf, discovery, ProviderUnreachable, readJson, timeoutMs, type Ask, type Provider } from './provider.ts';

/** The token does not count here; the message may be told to whoever sent it. */
export class TokenRefused extends Error {
  override readonly name = 'TokenRefused';
}

const algorithms = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
];

/** @throws ProviderUnreachable, TokenRefused, a JOSEError, or UnusableIdentity */
export type TokenVerifier = (token: string) => Promise<Identity>;

export function oidcVerifier(issuer: IssuerConfig, issuers: readonly IssuerConfig[]): TokenVerifier {
  const ask = askerOf(issuer);
  const provider = discovery(issuer.issuer, ask);
  const identify = (claims: Record<string, unknown>) => entitledIdentity(claims, issuer, issuers);
  const verifier = issuer.verify === 'userinfo' ? userinfoVerifier : jwksVerifier;
  return verifier(issuer, provider, identify, ask);
}

type Identify = (claims: Record<string, unknown>) => Identity;

function jwksVerifier(
  issuer: IssuerConfig,
  provider: () => Promise<Provider>,
  identify: Identify,
  ask: Ask,
): TokenVerifier {
  let keys: ReturnType<typeof createRemoteJWKSet> | undefined;
  return async (token) => {
    const { issuer: name, jwks_uri: url } = await provider();
    if (!url) throw new ProviderUnreachable(`${name} does not publish keys`);
    keys ??= createRemoteJWKSet(new URL(url), {
      timeoutDuration: timeoutMs,
      [customFetch]: (address) => ask(address),
    });
    const { payload } = await jwtVerify(token, keys, {
      algorithms,
      issuer: name,
      requiredClaims: ['exp'],
      clockTolerance: 5,
      ...(issuer.audience === anyAudience ? {} : { audience: issuer.audience }),
    }).catch((error: unknown) => {
      throw isAboutKeys(error) ? new ProviderUnreachable(`keys of ${name}`, { cause: error }) : error;
    });
    return { ...identify(payload), signInEnds: payload.exp! };
  };
}

/** Everything jose says about the token itself has a class of its own; the rest is the fetching of keys. */
function isAboutKeys(error: unknown): boolean {
  if (!(error instanceof errors.JOSEError)) return true;
  return (
    error instanceof errors.JWKSTimeout || error instanceof errors.JWKSInvalid || error.code === 'ERR_JOSE_GENERIC'
  );
}

interface Seen {
  identity: Identity;
  untilMs: number;
}
const rememberMs = 60_000;
const mostRemembered = 10_000;

function userinfoVerifier(
  issuer: IssuerConfig,
  provider: () => Promise<Provider>,
  identify: Identify,
  ask: Ask,
): TokenVerifier {
  const remembered = new Map<string, Seen>();
  return async (token) => {
    // What the token says of itself is believed only once the provider has accepted the token.
    const claims = decodeJwt(token);
    const expiresMs = checkClaims(claims, issuer);
    const hash = createHash('sha256').update(token).digest('base64');
    const seen = remembered.get(hash);
    if (seen && seen.untilMs > Date.now()) return seen.identity;

    const { issuer: name, userinfo_endpoint: url } = await provider();
    if (!url) throw new ProviderUnreachable(`${name} has no userinfo endpoint`);
    const identity = { ...identify(await fetchUserinfo(ask, url, token)), signInEnds: Math.floor(expiresMs / 1000) };
    remembered.delete(hash);
    remembered.set(hash, { identity, untilMs: Math.min(Date.now() + rememberMs, expiresMs) });
    const oldest = remembered.keys().next();
    if (remembered.size > mostRemembered && !oldest.done) remembered.delete(oldest.value);
    return identity;
  };
}

function checkClaims(claims: JWTPayload, issuer: IssuerConfig): number {
  const expiresMs = typeof claims.exp === 'number' ? claims.exp * 1000 : 0;
  if (expiresMs <= Date.now()) throw new TokenRefused('the token has expired');
  const audiences = claims.aud === undefined ? [] : [claims.aud].flat();
  if (issuer.audience !== anyAudience && !audiences.includes(issuer.audience)) {
    throw new TokenRefused('the token is meant for another service');
  }
  return expiresMs;
}

/** @throws ProviderUnreachable, TokenRefused */
export async function fetchUserinfo(ask: Ask, url: string, token: string): Promise<Record<string, unknown>> {
  const response = await ask(url, { headers: { authorization: `Bearer ${token}` } });
  if (response.status >= 400 && response.status < 500) throw new TokenRefused('its issuer does not accept the token');
  if (!response.ok) throw new ProviderUnreachable(`${url} answered ${response.status}`);
  return readJson(url, response);
}
