/** Who a token speaks for, read from its claims. */
import type { IssuerConfig } from '../../config/config.ts';
import type { Identity } from '../../db/submissions.ts';
import { withoutSlashes } from '../../domain/slashes.ts';

/** The token is good, but what it says of its owner can't be used. */
export class UnusableIdentity extends Error {
  override readonly name = 'UnusableIdentity';
}

export interface ClaimNames {
  owner: string;
  groups: string;
  email: string;
}

/** What stands before names that come from one issuer. */
export interface Prefixes {
  ownerPrefix?: string | undefined;
  groupPrefix?: string | undefined;
}

/** @throws UnusableIdentity */
export function identityOf(
  claims: Record<string, unknown>,
  names: ClaimNames,
  { ownerPrefix = '', groupPrefix = '' }: Prefixes = {},
): Identity {
  const name = claims[names.owner];
  const owner = typeof name === 'string' && isUsable(name) ? ownerPrefix + name : '';
  if (!isUsable(owner)) {
    throw new UnusableIdentity(`the claim ${names.owner} of the token is not a user name`);
  }
  const email = emailOf(claims, names);
  return { owner, groups: groupsOf(claims[names.groups], groupPrefix), ...(email ? { email } : {}) };
}

/**
 * The identity, if the issuer's rule on entitlements lets it in: all those of one virtual organisation must be held. A
 * member without groups is then in the group of that organisation (docs/wire.md 1.2).
 * @param issuers all there are: a name that reads like one of another issuer's users is refused
 * @throws UnusableIdentity
 */
export function entitledIdentity(
  claims: Record<string, unknown>,
  issuer: IssuerConfig,
  issuers: readonly IssuerConfig[],
): Identity {
  const identity = identityOf(claims, issuer.claims, issuer);
  if (issuers.some((other) => isOf(other, issuer, identity.owner))) {
    throw new UnusableIdentity('the user name begins like those of another issuer');
  }
  const required = Object.entries(issuer.requiredEntitlements ?? {});
  if (required.length === 0) return identity;
  const held = new Set([claims[issuer.claims.entitlements]].flat());
  const organisation = required.find(([, all]) => all.every((entitlement) => held.has(entitlement)));
  if (!organisation) throw new UnusableIdentity('the entitlements of this user do not suffice');
  const [name, entitlements] = organisation;
  const isMember = entitlements.some((entitlement) => entitlement.includes('role=member'));
  return identity.groups.length === 0 && isMember
    ? { ...identity, groups: [`${issuer.groupPrefix ?? ''}${name}`] }
    : identity;
}

/** Not one of which its issuer says that it has not been verified: anybody may have typed it. Many issuers say nothing. */
function emailOf(claims: Record<string, unknown>, names: ClaimNames): string | undefined {
  const { [names.email]: email, email_verified: isVerified } = claims;
  if (typeof email !== 'string') return undefined;
  return isVerified === undefined || isVerified === true || isVerified === 'true' ? email : undefined;
}

/** Of two prefixes that begin alike the longer one counts. */
function isOf(other: IssuerConfig, issuer: IssuerConfig, owner: string): boolean {
  const [own = '', another = ''] = [issuer.ownerPrefix, other.ownerPrefix];
  return another.length > own.length && owner.startsWith(another);
}

/** A list, or one text with commas. */
function groupsOf(claim: unknown, prefix: string): string[] {
  const groups = typeof claim === 'string' ? claim.split(',') : Array.isArray(claim) ? claim : [];
  const named = groups
    .filter((group) => typeof group === 'string')
    .map((group) => group.trim())
    .filter(isUsable);
  // Behind a prefix, a group that is given as a path is none any more.
  const prefixed = prefix === '' ? named : named.map((group) => prefix + withoutSlashes(group));
  return [...new Set(prefixed.filter(isUsable))];
}

/** Names become parts of object keys and rows: no control characters, and nothing a path would resolve. */
function isUsable(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && name.length <= 255 && !/[\p{Cc}\p{Surrogate}]/u.test(name);
}
