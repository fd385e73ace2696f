/** Signs the tokens of jobs. They are made when a task is started, and are nowhere but in its environment. */
import { createSecretKey } from 'node:crypto';
import { SignJWT } from 'jose';
import { secondsAfterEnd, tokenIssuer, type JobTokenSubject } from '../domain/job-token.ts';

/** @returns makes a token for a task that may run so long. Whether its job goes on is asked at each use beside it */
export function jobTokenSigner(signingKey: string) {
  const key = createSecretKey(Buffer.from(signingKey, 'utf8'));
  return (subject: JobTokenSubject, walltimeSeconds: number): Promise<string> => {
    const now = Math.floor(Date.now() / 1000);
    return new SignJWT({ ...subject })
      .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
      .setIssuer(tokenIssuer)
      .setIssuedAt(now)
      .setExpirationTime(now + Math.ceil(walltimeSeconds) + secondsAfterEnd)
      .sign(key);
  };
}
