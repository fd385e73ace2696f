/** Finds out who asks, before anything else of a request is looked at (docs/wire.md 1.2). */
import type { Context, MiddlewareHandler } from 'hono';
import { decodeJwt, errors } from 'jose';
import type { Config } from '../../config/config.ts';
import type { Identity } from '../../db/submissions.ts';
import { ApiError, unauthorized } from '../errors.ts';
import type { Env } from '../resource.ts';
import type { BarList } from './bars.ts';
import { UnusableIdentity } from './identity.ts';
import { oidcVerifier, TokenRefused, type TokenVerifier } from './oidc.ts';
import { isSameIssuer, ProviderUnreachable } from './provider.ts';
import { ownIssuer, ownTokenVerifier } from './tokens.ts';

/** Where the token of a request is. */
export type TokenReader = (c: Context) => string | undefined | Promise<string | undefined>;

/** The word differs between clients: Bearer, token, Token. */
export const headerToken: TokenReader = (c) =>
  /^(?:bearer|token) +(\S+) *$/i.exec(c.req.header('authorization') ?? '')?.[1];

/** @throws ApiError 401 from the middleware */
export function authentication(auth: Config['auth'], readToken: TokenReader, bars: BarList): MiddlewareHandler<Env> {
  const verify = tokenVerifier(auth);
  const delegationSeconds = delegationSecondsOf(auth);
  return async (c, next) => {
    const token = await readToken(c);
    if (token === undefined) {
      throw new ApiError(401, 'Authentication failure', {
        headers: { 'WWW-Authenticate': 'Bearer' },
        extra: { detail: 'a token is needed, as `Authorization: Bearer <token>`' },
      });
    }
    const identity = await identify(verify, token);
    await bars.refuse(identity);
    c.set('identity', delegating(identity, delegationSeconds));
    await next();
  };
}

export const delegationSecondsOf = ({ delegationDays }: Config['auth']): number => delegationDays * 24 * 3600;

/** A token may be good for an hour, and the jobs that were submitted with it wait for days before they submit others. */
function delegating(identity: Identity, delegationSeconds: number): Identity {
  const floor = Math.floor(Date.now() / 1000 + delegationSeconds);
  return { ...identity, signInEnds: Math.max(identity.signInEnds ?? 0, floor) };
}

async function identify(verify: TokenVerifier, token: string): Promise<Identity> {
  try {
    return await verify(token);
  } catch (error) {
    if (error instanceof ProviderUnreachable) {
      throw unauthorized('Unable to connect to OIDC server', 'who issued the token does not answer: please try again');
    }
    const why = refusalOf(error);
    if (why === undefined) throw error;
    throw unauthorized('Authentication failure', why);
  }
}

/** What its holder may be told of a refused token; undefined for an error that is not about the token. */
function refusalOf(error: unknown): string | undefined {
  if (error instanceof TokenRefused || error instanceof UnusableIdentity) return error.message;
  if (error instanceof errors.JWTExpired) return 'the token has expired';
  if (error instanceof errors.JWSSignatureVerificationFailed || error instanceof errors.JWKSNoMatchingKey) {
    return 'the signature of the token is not valid';
  }
  if (error instanceof errors.JWTClaimValidationFailed) {
    return error.claim === 'aud' ? 'the token is meant for another service' : `its claim ${error.claim} is not usable`;
  }
  return error instanceof errors.JOSEError ? 'the token is not a valid JWT' : undefined;
}

/** The unverified issuer only chooses who judges the token. It may be anything, whatever its type says. */
function tokenVerifier(auth: Config['auth']): TokenVerifier {
  const own = ownTokenVerifier(auth.signingKey);
  const providers = auth.issuers.map((issuer) => ({
    issuer: issuer.issuer,
    verify: oidcVerifier(issuer, auth.issuers),
  }));
  return (token) => {
    const iss: unknown = decodeJwt(token).iss;
    if (iss === ownIssuer) return own(token);
    const provider = providers.find(({ issuer }) => typeof iss === 'string' && isSameIssuer(issuer, iss));
    if (!provider) throw new TokenRefused('tokens of its issuer are not accepted here');
    return provider.verify(token);
  };
}
