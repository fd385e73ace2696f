/**
 * Our own tokens: HS256 JWTs signed with the installation's key. They can only be told from an identity provider's by
 * their issuer, which is no URL and so can't be any provider's.
 */
import { createSecretKey } from 'node:crypto';
import { jwtVerify, SignJWT, type JWTPayload } from 'jose';
import type { Identity } from '../../db/submissions.ts';
import { tokenIssuer } from '../../domain/job-token.ts';
import { identityOf, UnusableIdentity } from './identity.ts';

export const ownIssuer = tokenIssuer;

export interface TokenSubject {
  username: string;
  groups?: string[];
  email?: string;
  expiresSeconds: number;
  /** Given out by the API to who had another token. */
  isIssued?: true;
}

export function issueToken(signingKey: string, subject: TokenSubject): Promise<string> {
  const { username, groups = [], email, expiresSeconds, isIssued } = subject;
  const now = Math.floor(Date.now() / 1000);
  return new SignJWT({ username, groups, ...(email ? { email } : {}), ...(isIssued ? { use: 'issued' } : {}) })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setIssuer(ownIssuer)
    .setIssuedAt(now)
    .setExpirationTime(now + expiresSeconds)
    .sign(secretKey(signingKey));
}

/** @throws a JOSEError, or UnusableIdentity */
export function ownTokenVerifier(signingKey: string): (token: string) => Promise<Identity> {
  const key = secretKey(signingKey);
  return async (token) => {
    const { payload } = await jwtVerify(token, key, {
      algorithms: ['HS256'],
      issuer: ownIssuer,
      requiredClaims: ['exp'],
    });
    const identity = identityOf(payload, { owner: 'username', groups: 'groups', email: 'email' });
    return {
      ...identity,
      ...('job' in payload ? { job: jobOf(payload) } : {}),
      ...(payload['use'] === 'issued' ? { isIssued: true } : {}),
      tokenEnds: payload.exp!,
      signInEnds: payload.exp!,
    };
  };
}

function jobOf({ job: id, attempt }: JWTPayload): NonNullable<Identity['job']> {
  if (!Number.isSafeInteger(id) || !Number.isSafeInteger(attempt)) throw new UnusableIdentity('job is not a number');
  return { id: id as number, attempt: attempt as number };
}

const secretKey = (signingKey: string) => createSecretKey(Buffer.from(signingKey, 'utf8'));
