/** Who a token speaks for, read from its claims. */
import type { IssuerConfig } from '../../config/config.ts';
import type { Identity } from '../../db/submissions.ts';

/** The token is good, but what it says of its owner can't be used. */
export class UnusableIdentity extends Error {
  override readonly name = 'UnusableIdentity';
}

export interface ClaimNames {
  owner: string;
  groups: string;
  email: string;
}

/** @throws UnusableIdentity */
export function identityOf(claims: Record<string, unknown>, names: ClaimNames): Identity {
  const owner = claims[names.owner];
  if (typeof owner !== 'string' || !isUsable(owner)) {
    throw new UnusableIdentity(`the claim ${names.owner} of the token is not a user name`);
  }
  const email = emailOf(claims, names);
  return { owner, groups: groupsOf(claims[names.groups]), ...(email ? { email } : {}) };
}

/**
 * The identity, if the issuer's rule on entitlements lets it in: all those of one virtual organisation must be held. A
 * member without groups is then in the group of that organisation (spec.md 1.2).
 * @throws UnusableIdentity
 */
export function entitledIdentity(claims: Record<string, unknown>, issuer: IssuerConfig): Identity {
  const identity = identityOf(claims, issuer.claims);
  const required = Object.entries(issuer.requiredEntitlements ?? {});
  if (required.length === 0) return identity;
  const held = new Set([claims[issuer.claims.entitlements]].flat());
  const organisation = required.find(([, all]) => all.every((entitlement) => held.has(entitlement)));
  if (!organisation) throw new UnusableIdentity('the entitlements of this user do not suffice');
  const [name, entitlements] = organisation;
  const isMember = entitlements.some((entitlement) => entitlement.includes('role=member'));
  return identity.groups.length === 0 && isMember ? { ...identity, groups: [name] } : identity;
}

/** Not one of which its issuer says that it has not been verified: anybody may have typed it. Many issuers say nothing. */
function emailOf(claims: Record<string, unknown>, names: ClaimNames): string | undefined {
  const { [names.email]: email, email_verified: isVerified } = claims;
  if (typeof email !== 'string') return undefined;
  return isVerified === undefined || isVerified === true || isVerified === 'true' ? email : undefined;
}

/** A list, or one text with commas. */
function groupsOf(claim: unknown): string[] {
  const groups = typeof claim === 'string' ? claim.split(',') : Array.isArray(claim) ? claim : [];
  const named = groups.filter((group) => typeof group === 'string').map((group) => group.trim());
  return [...new Set(named.filter(isUsable))];
}

/** Names become parts of object keys and rows: no control characters, and nothing a path would resolve. */
function isUsable(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && name.length <= 255 && !/[\p{Cc}\p{Surrogate}]/u.test(name);
}
