/**
 * The three paths by which the command line client registers and logs in (docs/wire.md 1.3), in front of any issuer.
 * They stand at the root, where clients are told to look, and are for users who have no token yet.
 */
import type { Context } from 'hono';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { LoginRefused, type ClientCredentials, type DeviceLogin } from '../auth/device-login.ts';
import { UnusableIdentity } from '../auth/identity.ts';
import { TokenRefused } from '../auth/oidc.ts';
import { ProviderUnreachable } from '../auth/provider.ts';
import { readForm, readJson } from '../body.ts';
import { ApiError, badRequest, forbidden, unavailable } from '../errors.ts';
import { loginOperations as docs } from '../openapi/others.ts';
import { resource, type App, type Guards } from '../resource.ts';

export function loginRoutes(app: App, guards: Guards, login: DeviceLogin): void {
  resource(app, '/register', guards, {
    docs: { POST: docs.register },
    POST: async (c) => {
      const request = await readJson(c);
      if (typeof request !== 'object' || request === null) throw badRequest('The request body must be a JSON object');
      const { client_name: name, scope } = request as Record<string, unknown>;
      const clientName = typeof name === 'string' && name !== '' ? bounded('client_name', name) : 'prominence';
      const registration = { clientName, scope: typeof scope === 'string' ? bounded('scope', scope) : undefined };
      return answer(c, 201, () => login.register(registration));
    },
  });

  resource(app, '/devicecode', guards, {
    docs: { POST: docs.deviceCode },
    POST: async (c) => {
      const form = await readForm(c);
      const client = credentials(c, form);
      const scope = form.get('scope');
      return answer(c, 200, () => login.begin(client, scope === null ? undefined : bounded('scope', scope)));
    },
  });

  resource(app, '/token', guards, {
    docs: { POST: docs.token },
    POST: async (c) => {
      const form = await readForm(c);
      const grant = form.get('grant_type');
      if (grant !== 'urn:ietf:params:oauth:grant-type:device_code') {
        throw oauthError(400, 'unsupported_grant_type', 'only the device flow is served here');
      }
      const code = form.get('device_code');
      if (!code) throw oauthError(400, 'invalid_request', 'device_code is missing');
      const client = credentials(c, form);
      return answer(c, 200, () => login.token(client, bounded('device_code', code)));
    },
  });
}

async function answer(c: Context, status: 200 | 201, ask: () => Promise<Record<string, unknown>>): Promise<Response> {
  // Both what the issuer says and what it refuses is for this client and this moment only.
  const headers = { 'Cache-Control': 'no-store' };
  try {
    return c.json(await ask(), status, headers);
  } catch (error) {
    if (error instanceof LoginRefused) {
      const known = [400, 401, 403, 429].includes(error.status);
      throw oauthError(known ? (error.status as ContentfulStatusCode) : 400, error.code, error.message);
    }
    if (error instanceof ProviderUnreachable)
      throw unavailable('The identity provider does not answer as it should', error);
    if (error instanceof TokenRefused || error instanceof UnusableIdentity) throw forbidden(error.message);
    throw error;
  }
}

/** OAuth clients act on the word in `error` (RFC 6749 5.2). */
function oauthError(status: ContentfulStatusCode, code: string, description: string): ApiError {
  return new ApiError(status, code, {
    headers: {
      'Cache-Control': 'no-store',
      ...(status === 401 ? { 'WWW-Authenticate': 'Basic realm="prominence"' } : {}),
    },
    ...(description ? { extra: { error_description: description } } : {}),
  });
}

/** By Basic, as the command line client does, or in the form. */
function credentials(c: Context, form: URLSearchParams): ClientCredentials {
  const basic = /^basic +([A-Za-z0-9+/]+=*) *$/i.exec(c.req.header('authorization') ?? '')?.[1];
  if (basic === undefined) {
    const id = form.get('client_id');
    if (!id) throw oauthError(401, 'invalid_client', 'the client must say who it is');
    return { id: bounded('client_id', id), secret: bounded('client_secret', form.get('client_secret') ?? '') };
  }
  const [id = '', ...secret] = Buffer.from(basic, 'base64').toString('utf8').split(':');
  if (id === '') throw oauthError(401, 'invalid_client', 'the client must say who it is');
  return { id: bounded('client_id', id), secret: bounded('client_secret', secret.join(':')) };
}

function bounded(what: string, text: string): string {
  if (text.length > 2000) throw badRequest(`${what} is too long`);
  return text;
}
