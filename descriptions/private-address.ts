/**
 * Addresses that say by themselves that they are not public. What a name leads to is judged when it is called, by the same
 * rule; this only tells the user in time.
 */
import ipaddr from 'ipaddr.js';

/** @param url valid, http or https */
export function isPrivateAddress(url: string): boolean {
  // Also in its odd spellings, of which a URL makes the usual one.
  const host = new URL(url).hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
  if (host === 'localhost' || host.endsWith('.localhost')) return true;
  return ipaddr.isValid(host) && ipaddr.process(host).range() !== 'unicast';
}
