/**
 * Reads one object of a document field by field. The caller's order of calls is the order of the checks, which a
 * schema of the whole object could not keep; each value is judged by a valibot schema. Never throws.
 */
import * as v from 'valibot';
import { shortened, type IssueList } from './issues.ts';
import type { Limit } from './limits.ts';

export type JsonObject = Record<string, unknown>;

export interface Place {
  value: unknown;
  path: string;
}

export interface ObjectReader {
  readonly path: string;
  has(key: string): boolean;
  onlyKeys(allowed: ReadonlySet<string>, message: (key: string) => string): void;
  /** Undefined when the field is absent or wrong; wrong ones are told. */
  field<T>(key: string, schema: v.GenericSchema<unknown, T>): T | undefined;
  /** The same, for what upstream did not look at. */
  ownField<T>(key: string, schema: v.GenericSchema<unknown, T>): T | undefined;
  /** A nested object; `notObject` tells anything else. */
  object(key: string, notObject: string): ObjectReader | undefined;
  /** The entries of an array; `notList` tells anything else. One that is too long is told, and not looked into. */
  list(key: string, notList: string, limit: Limit): Place[] | undefined;
  /** The same where entries have no places of their own: there may be a million. */
  values(key: string, notList: string): unknown[] | undefined;
  issue(key: string, message: string): void;
  ownIssue(key: string, message: string): void;
  value(key: string): unknown;
  keys(): string[];
  reader(place: Place): ObjectReader | undefined;
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function readObject(object: JsonObject, path: string, issues: IssueList): ObjectReader {
  const at = (key: string) => (path === '' ? shortened(key) : `${path}.${shortened(key)}`);
  // Own properties only: a key of Object.prototype is not a field.
  const value = (key: string): unknown => (Object.hasOwn(object, key) ? object[key] : undefined);
  const judged =
    (tell: (path: string, message: string) => void) =>
    <T>(key: string, schema: v.GenericSchema<unknown, T>): T | undefined => {
      if (!Object.hasOwn(object, key)) return undefined;
      const result = v.safeParse(schema, object[key], { abortEarly: true });
      if (result.success) return result.output;
      tell(at(key), result.issues[0].message);
      return undefined;
    };
  const values = (key: string, notList: string): unknown[] | undefined => {
    const entries = value(key);
    if (Array.isArray(entries)) return entries;
    issues.add(at(key), notList);
    return undefined;
  };
  return {
    path,
    value,
    keys: () => Object.keys(object),
    has: (key) => Object.hasOwn(object, key),
    onlyKeys(allowed, message) {
      for (const key of Object.keys(object)) if (!allowed.has(key)) issues.add(at(key), message(shortened(key)));
    },
    field: judged(issues.add),
    ownField: judged(issues.addBeyondUpstream),
    object(key, notObject) {
      const nested = value(key);
      if (isObject(nested)) return readObject(nested, at(key), issues);
      issues.add(at(key), notObject);
      return undefined;
    },
    list(key, notList, { most, message }) {
      const entries = values(key, notList);
      if (!entries) return undefined;
      if (entries.length <= most) return entries.map((entry, i) => ({ value: entry, path: `${at(key)}[${i}]` }));
      issues.add(at(key), message);
      return undefined;
    },
    values,
    issue: (key, message) => issues.add(at(key), message),
    ownIssue: (key, message) => issues.addBeyondUpstream(at(key), message),
    reader: (place) => (isObject(place.value) ? readObject(place.value, place.path, issues) : undefined),
  };
}
