/**
 * Walks a value beside its valibot schema and finds the keys the schema has no place for. A mistyped key that is silently
 * ignored is a setting silently lost.
 */
import type * as v from 'valibot';

export interface UnknownKey {
  path: (string | number)[];
  key: string;
  /** The names that would have been right there. */
  siblings: string[];
}

/** The parts of valibot's schema objects that have something below them. */
interface SchemaNode {
  type: string;
  entries?: Record<string, SchemaNode>;
  item?: SchemaNode;
  wrapped?: SchemaNode;
  key?: string;
  options?: SchemaNode[];
  literal?: unknown;
}

export function unknownKeys(schema: v.GenericSchema, value: unknown): UnknownKey[] {
  return walk(schema as unknown as SchemaNode, value, []);
}

function walk(schema: SchemaNode, value: unknown, path: (string | number)[]): UnknownKey[] {
  if (schema.wrapped !== undefined) return walk(schema.wrapped, value, path);
  if (schema.type === 'array') {
    return Array.isArray(value) ? value.flatMap((each, i) => walk(schema.item!, each, [...path, i])) : [];
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [];
  if (schema.type === 'variant') {
    const chosen = (value as Record<string, unknown>)[schema.key!];
    const option = schema.options!.find((each) => each.entries?.[schema.key!]?.literal === chosen);
    // Without a known discriminant there is no telling what belongs: the schema reports the discriminant itself.
    return option === undefined ? [] : walk(option, value, path);
  }
  if (schema.entries === undefined) return [];
  const siblings = Object.keys(schema.entries);
  return Object.entries(value).flatMap(([key, each]) => {
    const below = Object.hasOwn(schema.entries!, key) ? schema.entries![key] : undefined;
    return below === undefined ? [{ path, key, siblings }] : walk(below, each, [...path, key]);
  });
}
