/** The grammar of names of images in registries, as docker has it (github.com/distribution/reference). */

const domainComponent = '(?:[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9])';
const domain = new RegExp(`^(?:${domainComponent}(?:\\.${domainComponent})*|\\[[0-9A-Fa-f:]+\\])(?::[0-9]{1,5})?$`);
const pathComponent = /^[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*$/;
const tagGrammar = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
/** The one that registries are asked for. */
const digestGrammar = /^sha256:[0-9a-f]{64}$/;
const longestName = 255;

/** What is wrong with a name, to be said after it; undefined for a good one. */
export function referenceProblem(reference: string): string | undefined {
  const [named = '', digest, ...more] = reference.split('@');
  if (digest !== undefined && (more.length > 0 || !digestGrammar.test(digest))) {
    return 'after @ there must be sha256: and 64 hexadecimal digits';
  }
  const parts = named.split('/');
  const last = parts.at(-1)!;
  const colon = parts.length > 1 || !last.startsWith('[') ? last.indexOf(':') : -1;
  const tag = colon < 0 ? undefined : last.slice(colon + 1);
  const path = [...parts.slice(0, -1), colon < 0 ? last : last.slice(0, colon)];
  if (tag === '') return 'there is no tag after the colon';
  if (tag !== undefined && !tagGrammar.test(tag)) {
    return 'a tag is at most 128 letters, digits, and _ . - but not at its beginning';
  }
  const host = path.length > 1 && isDomain(path[0]!) ? path.shift() : undefined;
  if (host !== undefined && !domain.test(host)) return `"${host}" is no host`;
  if (path.join('/').length + (host?.length ?? 0) > longestName) return `it has more than ${longestName} characters`;
  if (path.some((part) => part !== part.toLowerCase())) return 'capital letters are not allowed in a repository';
  if (!path.every((part) => pathComponent.test(part))) {
    return 'a repository is made of small letters and digits, with . _ __ or - between them, and slashes';
  }
  if (host === undefined && path.length === 1 && /^[0-9a-f]{64}$/.test(path[0]!)) return 'it looks like an id';
  return undefined;
}

/** As docker tells a registry from the first part of a repository. */
const isDomain = (first: string): boolean =>
  /[.:]/.test(first) || first === 'localhost' || first !== first.toLowerCase();
