/**
 * A token of ours for who has one of an identity provider (docs/wire.md 1.2): for clients that can't renew the other.
 * It speaks for the same user, and can't be used to get another. One that is got with a token of ours ends when that
 * does.
 */
import type { Config } from '../../config/config.ts';
import { issueToken } from '../auth/tokens.ts';
import { forbidden } from '../errors.ts';
import { tokenOperation } from '../openapi/others.ts';
import { resource, type App, type Guards } from '../resource.ts';

const longestSeconds = 24 * 3600;

interface Dependencies {
  config: Pick<Config, 'auth'>;
}

export function tokenRoutes(app: App, guards: Guards, { config }: Dependencies): void {
  resource(app, '/token', guards, {
    docs: { POST: tokenOperation },
    POST: async (c) => {
      const { owner: username, groups, email, isIssued, tokenEnds } = c.get('identity');
      if (isIssued) throw forbidden('A token that was got here can not be used to get another: log in again');
      const left = tokenEnds === undefined ? Infinity : Math.floor(tokenEnds - Date.now() / 1000);
      const expiresSeconds = Math.max(1, Math.min(longestSeconds, left));
      const subject = { username, groups, ...(email === undefined ? {} : { email }), isIssued: true } as const;
      const token = await issueToken(config.auth.signingKey, { ...subject, expiresSeconds });
      return c.json({ token, expiresIn: expiresSeconds }, 201);
    },
  });
}
