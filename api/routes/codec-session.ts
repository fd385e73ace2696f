/**
 * How the Temporal web UI says who looks at it, where it has no users of its own: an operator gives a token to this page
 * once, and the browser then sends it along, to the codec only. Nothing can be changed with that, and pages of others
 * can't read what is answered.
 */
import type { Context } from 'hono';
import { getCookie, setCookie } from 'hono/cookie';
import { decodeJwt } from 'jose';
import { headerToken, type TokenReader } from '../auth/authentication.ts';
import { readForm } from '../body.ts';
import { codecSessionOperations as docs } from '../openapi/others.ts';
import { resource, type App, type Guards, unguarded } from '../resource.ts';

const cookie = 'prominence_codec';

/** The header, as of Temporal's command line tool, or the session. */
export const codecToken: TokenReader = (c) =>
  c.req.header('authorization') === undefined ? getCookie(c, cookie) : headerToken(c);

/** Of the form of the page. */
export const formToken: TokenReader = async (c) => {
  const token = (await readForm(c)).get('token')?.trim();
  return token === '' ? undefined : token;
};

/** @param guards of the form: authentication by `formToken`, and operators only */
export function codecSessionRoutes(app: App, guards: Guards, isSecure: boolean): void {
  const answer = (c: Context, content: string) => {
    return c.html(page(content), 200, {
      'Content-Security-Policy': "default-src 'none'; form-action 'self'; frame-ancestors 'none'",
      'Cache-Control': 'no-store',
    });
  };
  resource(app, '/codec/session', unguarded, {
    docs: { GET: docs.page },
    GET: (c) => answer(c, form),
  });
  resource(app, '/codec/session/open', guards, {
    docs: { POST: docs.open },
    POST: async (c) => {
      const token = (await formToken(c)) ?? '';
      const seconds = Math.max(0, Math.floor((decodeJwt(token).exp ?? 0) - Date.now() / 1000));
      setCookie(c, cookie, token, {
        path: '/codec',
        httpOnly: true,
        sameSite: 'Strict',
        secure: isSecure,
        // Browsers keep no cookie for longer.
        maxAge: Math.min(seconds, 400 * 24 * 3600),
      });
      return answer(c, done);
    },
  });
}

const form = `<form method="post" action="/codec/session/open">
  <p>A token of an operator, so that this browser may decode what Temporal keeps, as long as the token is good:</p>
  <p><input type="password" name="token" size="60" required autocomplete="off"> <button>Go on</button></p>
</form>`;

const done = `<p>Done. In Temporal's web UI, under the sign of the glasses in its corner (Codec Server), the endpoint is
<code>/codec</code> of this address, with cross-origin credentials included.</p>`;

const page = (content: string) => `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>PROMINENCE codec</title></head><body>${content}</body></html>
`;
