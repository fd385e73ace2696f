/** Turns what the schema found into lines a person can act on: the key first, then what is wrong with it. */
import type * as v from 'valibot';
import { secretKeys } from './environment.ts';
import { nearestName } from './near-miss.ts';
import { unknownKeys } from './unknown-keys.ts';

/** What is wrong with the configuration, each line starting with the key (or the file, line and column) it is about. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly string[];
  constructor(problems: readonly string[], options?: ErrorOptions) {
    super(problems.join('\n'), options);
    this.problems = problems;
  }
}

/**
 * One line per problem.
 * @param sources the environment variable that set a key, for the keys that were set so
 */
export function problemLines(
  schema: v.GenericSchema,
  value: unknown,
  issues: readonly v.BaseIssue<unknown>[],
  sources: ReadonlyMap<string, string>,
): string[] {
  const lines = unknownKeys(schema, value).map(({ path, key, siblings }) => {
    const near = nearestName(key, siblings);
    const hint = near === undefined ? `known here: ${siblings.join(', ')}` : `did you mean ${near}?`;
    return `${keyText([...path, key])}: is not a known key; ${hint}`;
  });
  for (const issue of issues) {
    // valibot names only the first unknown key of an object; unknownKeys found them all.
    if (issue.type === 'strict_object' && issue.expected === 'never') continue;
    const path = (issue.path ?? []).map((item) => item.key as string | number);
    const source = sources.get(keyText(path)) ?? sources.get(keyText(path.slice(0, -1)));
    lines.push(`${keyText(path)}${source === undefined ? '' : ` (${source})`}: ${complaint(issue, path)}`);
  }
  return lines;
}

/** `sites[0].hosts[1].hostKey` */
function keyText(path: readonly (string | number)[]): string {
  return path.map((key, i) => (typeof key === 'number' ? `[${key}]` : i === 0 ? key : `.${key}`)).join('');
}

function complaint(issue: v.BaseIssue<unknown>, path: readonly (string | number)[]): string {
  if (issue.received === 'undefined') {
    const choices = issue.type === 'variant' ? `; one of ${alternatives(issue)}` : '';
    return `is required${choices}`;
  }
  // A rule of ours over several values says itself what it found.
  if (issue.type === 'raw_check') return issue.message;
  const got = secretKeys.has(keyText(path).replace(/\[\d+\]$/, '')) ? '' : `, not ${shown(issue.input)}`;
  if (issue.kind === 'validation') return `${issue.message}${got}`;
  switch (issue.type) {
    case 'variant':
    case 'picklist':
    case 'literal':
      return `must be one of ${alternatives(issue)}${got}`;
    case 'array':
      return `must be a list${got}`;
    case 'strict_object':
    case 'object':
      return `must be a mapping of keys to values${got}`;
    case 'number':
    case 'string':
      return `must be a ${issue.type}${got}`;
    case 'boolean':
      return `must be true or false${got}`;
    default:
      return `must be ${issue.expected ?? 'something else'}${got}`;
  }
}

/** `("a" | "b")` as valibot writes it, as `a, b`. */
function alternatives(issue: v.BaseIssue<unknown>): string {
  return (issue.expected ?? '').replace(/[()"]/g, '').split(' | ').join(', ');
}

function shown(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'a mapping';
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 60)}...` : text;
}
