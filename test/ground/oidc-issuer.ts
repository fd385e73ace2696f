/** A certified OpenID provider in this process, and a user of it who agrees in a browser: by requests, with cookies. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import Provider, { type Configuration } from 'oidc-provider';

export interface OidcIssuer {
  url: string;
  /** `api`: asked for as a resource, access tokens for it are JWTs. Without it they are opaque. */
  resource: string;
  /** A client made by hand. */
  client: { id: string; secret: string };
  /** What `username` does with the code a client shows. @throws when the provider does not say that it worked */
  approve(verificationUri: string, userCode: string, username: string): Promise<void>;
  stop(): Promise<void>;
}

export async function startOidcIssuer(
  claimsOf: (username: string) => Record<string, unknown>,
  options: { hasRegistration?: boolean } = {},
): Promise<OidcIssuer> {
  const resource = 'urn:prominence:api';
  const client = { id: 'made-by-hand', secret: 'a secret only the server has' };
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const configuration: Configuration = {
    clients: [
      {
        client_id: client.id,
        client_secret: client.secret,
        grant_types: ['urn:ietf:params:oauth:grant-type:device_code'],
        response_types: [],
        redirect_uris: [],
      },
    ],
    features: {
      deviceFlow: { enabled: true },
      registration: { enabled: options.hasRegistration ?? true },
      devInteractions: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: () => ({
          scope: '',
          audience: 'prominence-api',
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: 'RS256' } },
        }),
      },
    },
    claims: { openid: ['sub'], profile: ['preferred_username', 'groups', 'edu_person_entitlements'], email: ['email'] },
    conformIdTokenClaims: false,
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...claimsOf(id) }) }),
    extraTokenClaims: (_, token) => ('accountId' in token ? claimsOf(token.accountId as string) : {}),
    ttl: { AccessToken: 600 },
  };
  const answer = new Provider(url, configuration).callback();
  server.on('request', (request, response) => void answer(request, response));
  return {
    url,
    resource,
    client,
    async approve(verificationUri, userCode, username) {
      const browser = newBrowser();
      let page = await browser.open(verificationUri);
      // Whatever order the provider asks in: the code, who it is, whether that is wanted.
      const known: Record<string, string> = { user_code: userCode, login: username, password: 'any' };
      for (let step = 0; step < 6 && page.html.includes('<form'); step += 1) {
        page = await browser.submit(page, known);
      }
      if (!/Sign-in Success/i.test(page.html))
        throw new Error(`the provider did not agree: ${page.html.slice(0, 2000)}`);
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

interface Page {
  url: string;
  html: string;
}

function newBrowser() {
  const cookies = new Map<string, string>();
  const open = async (url: string, init: RequestInit = {}): Promise<Page> => {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(url, { ...init, redirect: 'manual', headers: { ...init.headers, cookie } });
    for (const set of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(set) ?? [];
      if (value === '') cookies.delete(name);
      else cookies.set(name, value);
    }
    const location = response.headers.get('location');
    return location ? open(new URL(location, url).href) : { url, html: await response.text() };
  };
  return {
    open,
    submit({ url, html }: Page, known: Record<string, string>): Promise<Page> {
      const [, attributes = '', content = ''] = /<form([^>]*)>([\s\S]*?)<\/form>/.exec(html) ?? [];
      const attribute = (tag: string, name: string) => new RegExp(`\\b${name}="([^"]*)"`).exec(tag)?.[1];
      const body = new URLSearchParams();
      for (const [tag] of content.matchAll(/<input[^>]*>/g)) {
        const name = attribute(tag, 'name');
        if (name) body.set(name, known[name] ?? attribute(tag, 'value') ?? '');
      }
      return open(new URL(attribute(attributes, 'action') ?? url, url).href, { method: 'POST', body });
    },
  };
}
