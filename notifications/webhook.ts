/**
 * Calls webhooks. Users choose the addresses, so only public ones are called unless an operator allows others: the
 * address is judged where the connection is made, after its name was looked up, and a redirect is not followed.
 */
import { request as httpRequest, type Agent } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Delivery } from '../domain/notification.ts';
import { filteredAgents, isAddressRefused } from '../outbound/address-filter.ts';
import { webhookSignature } from './webhook-signature.ts';

export interface WebhookMessage {
  url: string;
  secret: string;
  /** Receivers know repeats by it. */
  id: string;
  body: string;
}

export interface WebhookCaller {
  /** Never throws: what went wrong is in the answer, without the secret. */
  call(message: WebhookMessage): Promise<Delivery>;
}

const answerWithinMs = 15_000;

export function createWebhookCaller(options: { allowPrivateAddresses: boolean }): WebhookCaller {
  const agents = filteredAgents(options);
  return {
    async call({ url, secret, id, body }) {
      const address = new URL(url);
      const isSecure = address.protocol === 'https:';
      const timestamp = Math.floor(Date.now() / 1000);
      const headers = {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
        'user-agent': 'prominence',
        'webhook-id': id,
        'webhook-timestamp': String(timestamp),
        'webhook-signature': webhookSignature(secret, { id, timestamp, body }),
      };
      try {
        const status = await post(address, { isSecure, agent: agents.for(address), headers, body });
        return judged(status);
      } catch (error) {
        return fault(error as NodeJS.ErrnoException, address);
      }
    },
  };
}

interface Post {
  isSecure: boolean;
  agent: Agent;
  headers: Record<string, string | number>;
  body: string;
}

/** The status of the answer; its content is of no interest. */
function post(address: URL, { isSecure, agent, headers, body }: Post): Promise<number> {
  const send = isSecure ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(answerWithinMs);
    const request = send(address, { method: 'POST', agent, headers, signal }, (response) => {
      resolve(response.statusCode ?? 0);
      response.destroy();
    });
    request.on('error', reject);
    request.end(body);
  });
}

function judged(status: number): Delivery {
  if (status >= 200 && status < 300) return { kind: 'delivered' };
  // The one answer that says so for ever; others may be a mistake that somebody will correct.
  if (status === 410) return { kind: 'refused', reason: 'the address answered 410: it wants no more' };
  const isRedirect = status >= 300 && status < 400;
  return {
    kind: 'failed',
    reason: `the address answered ${status}${isRedirect ? ', a redirect, which is not followed' : ''}`,
  };
}

function fault(error: NodeJS.ErrnoException, { hostname }: URL): Delivery {
  if (isAddressRefused(error)) {
    return { kind: 'refused', reason: `${hostname} is not a public address, and this server only calls public ones` };
  }
  if (error.name === 'AbortError') {
    return { kind: 'failed', reason: `there was no answer within ${answerWithinMs / 1000} seconds` };
  }
  return { kind: 'failed', reason: error.message || (error.code ?? 'the connection failed') };
}
