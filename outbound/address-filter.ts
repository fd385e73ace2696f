/**
 * Connections to addresses that users or their servers name. Only public ones are connected to, judged where the
 * connection is made, after the name was looked up: a name that looks up otherwise a moment later gains nothing.
 */
import type { Agent } from 'node:http';
import { RequestFilteringHttpAgent, RequestFilteringHttpsAgent } from 'request-filtering-agent';

export interface FilteredAgents {
  for(url: URL): Agent;
}

export function filteredAgents(options: { allowPrivateAddresses: boolean }): FilteredAgents {
  const filter = {
    allowPrivateIPAddress: options.allowPrivateAddresses,
    allowMetaIPAddress: options.allowPrivateAddresses,
  };
  const http = new RequestFilteringHttpAgent(filter);
  const https = new RequestFilteringHttpsAgent(filter);
  return { for: ({ protocol }) => (protocol === 'https:' ? https : http) };
}

/** Did a connection fail for the filter? By the words of request-filtering-agent, which gives its errors no code. */
export const isAddressRefused = (error: Error): boolean => /^DNS lookup .* is not allowed/.test(error.message);
