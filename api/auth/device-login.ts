/**
 * Logging in by the device flow at one configured issuer, on behalf of a user's client: its requests are made anew from
 * the few members that matter, so that nothing else of them reaches the issuer. The issuer judges, we only carry.
 */
import { decodeJwt } from 'jose';
import type { Config, IssuerConfig, LoginConfig } from '../../config/config.ts';
import { entitledIdentity } from './identity.ts';
import { fetchUserinfo } from './oidc.ts';
import {
  askerOf,
  discovery,
  isSameIssuer,
  ProviderUnreachable,
  readJson,
  type Provider,
  type ProviderRequest,
} from './provider.ts';
import { issueToken } from './tokens.ts';

const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code';

/** The issuer said no, in its own words. Polling clients are refused until the user has agreed. */
export class LoginRefused extends Error {
  override readonly name = 'LoginRefused';
  readonly status: number;
  readonly code: string;
  constructor(status: number, code: string, description: string) {
    super(description);
    this.status = status;
    this.code = code;
  }
}

/** The client's id and secret, as it sent them. */
export interface ClientCredentials {
  id: string;
  secret: string;
}

type Answer = Record<string, unknown>;

/** Each throws LoginRefused, ProviderUnreachable; `token` also TokenRefused and UnusableIdentity. */
export interface DeviceLogin {
  register(request: { clientName: string; scope: string | undefined }): Promise<Answer>;
  begin(client: ClientCredentials, scope: string | undefined): Promise<Answer>;
  token(client: ClientCredentials, deviceCode: string): Promise<Answer>;
}

export function deviceLogin(
  login: LoginConfig,
  issuer: IssuerConfig,
  { issuers, signingKey }: Pick<Config['auth'], 'issuers' | 'signingKey'>,
): DeviceLogin {
  const ask = askerOf(issuer);
  const provider = discovery(issuer.issuer, ask);
  const endpoint = async (name: keyof Provider): Promise<string> => {
    const url = (await provider())[name];
    if (!url) throw new ProviderUnreachable(`${issuer.issuer} has no ${name}`);
    return url;
  };

  return {
    async register({ clientName, scope }) {
      const metadata = {
        client_name: clientName,
        grant_types: [deviceGrant],
        // Clients ask for `code` too, which without a redirection is refused by issuers that look.
        response_types: [],
        redirect_uris: [],
        token_endpoint_auth_method: 'client_secret_basic',
        ...((login.scope ?? scope) ? { scope: login.scope ?? scope } : {}),
      };
      if (login.clientId !== undefined) {
        // Clients need some secret to go on. What is sent for it later is not looked at: ours stays here.
        return {
          ...metadata,
          client_id: login.clientId,
          client_secret: 'kept-by-the-server',
          client_secret_expires_at: 0,
        };
      }
      const headers = { 'content-type': 'application/json' };
      return send(await endpoint('registration_endpoint'), { headers, body: JSON.stringify(metadata) });
    },

    async begin(client, scope) {
      const form = { ...resource(), ...((login.scope ?? scope) ? { scope: login.scope ?? scope } : {}) };
      return send(await endpoint('device_authorization_endpoint'), asClient(client, form));
    },

    async token(client, deviceCode) {
      const form = { ...resource(), grant_type: deviceGrant, device_code: deviceCode };
      const answer = await send(await endpoint('token_endpoint'), asClient(client, form));
      if (isUsable(answer['access_token'])) return answer;
      return { ...answer, ...(await ownToken(answer)), token_type: 'Bearer' };
    },
  };

  function resource(): Record<string, string> {
    return login.resource === undefined ? {} : { resource: login.resource };
  }

  function asClient(sent: ClientCredentials, form: Record<string, string | undefined>): ProviderRequest {
    const isOurs = sent.id === login.clientId;
    const secret = isOurs ? login.clientSecret : sent.secret;
    const body = new URLSearchParams({ client_id: sent.id });
    for (const [key, value] of Object.entries(form)) if (value !== undefined) body.set(key, value);
    if (!secret) return { body };
    const basic = [sent.id, secret].map(encodeURIComponent).join(':');
    return { body, headers: { authorization: `Basic ${Buffer.from(basic).toString('base64')}` } };
  }

  /** Clients look into tokens for their end, and we for their issuer. */
  function isUsable(token: unknown): boolean {
    if (typeof token !== 'string') return false;
    try {
      const { iss, exp } = decodeJwt(token);
      return exp !== undefined && iss !== undefined && isSameIssuer(iss, issuer.issuer);
    } catch {
      // Opaque to everybody but the issuer.
      return false;
    }
  }

  /** In place of an opaque token: one of ours that ends when it does, for whom the issuer says its owner is. */
  async function ownToken(answer: Answer): Promise<{ access_token: string; expires_in: number }> {
    const { access_token: token, expires_in: lifetime } = answer;
    if (typeof token !== 'string') throw new ProviderUnreachable(`${issuer.issuer} gave no access token`);
    const claims = await fetchUserinfo(ask, await endpoint('userinfo_endpoint'), token);
    const { owner, groups, email } = entitledIdentity(claims, issuer, issuers);
    const seconds = typeof lifetime === 'number' && lifetime > 0 ? Math.floor(lifetime) : 3600;
    const subject = { username: owner, groups, ...(email ? { email } : {}), expiresSeconds: seconds };
    return { access_token: await issueToken(signingKey, subject), expires_in: seconds };
  }

  async function send(url: string, init: ProviderRequest): Promise<Answer> {
    const response = await ask(url, { ...init, method: 'POST' });
    if (response.ok) return readJson(url, response);
    if (response.status >= 500) throw new ProviderUnreachable(`${url} answered ${response.status}`);
    const { error, error_description: description } = await readJson(url, response);
    const code = typeof error === 'string' && /^[\w.-]{1,64}$/.test(error) ? error : 'invalid_request';
    throw new LoginRefused(response.status, code, typeof description === 'string' ? description.slice(0, 300) : '');
  }
}
