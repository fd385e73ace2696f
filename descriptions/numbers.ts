/**
 * Where a description's numbers are kept as they are written: what becomes text in a task. All others are sizes, counts
 * and times, and doubles like any number of JavaScript.
 */
import { digitsOf, isWrittenNumber } from '../domain/exact-json.ts';
import type { JsonObject } from './reader.ts';
import { deepest } from './storable.ts';

/** By names of members; lists are passed through. */
interface Places {
  [member: string]: Places | 'kept';
}

const ofJob: Places = { tasks: { env: 'kept' } };
const ofFactory: Places = { parameters: { start: 'kept', end: 'kept', step: 'kept', values: 'kept' } };
const ofWorkflow: Places = { jobs: ofJob, factories: ofFactory, factory: ofFactory };

export const withJobNumbers = (job: JsonObject): JsonObject => withDoubles(job, ofJob, 0) as JsonObject;

export const withWorkflowNumbers = (workflow: JsonObject): JsonObject =>
  withDoubles(workflow, ofWorkflow, 0) as JsonObject;

/** The value itself where nothing in it changes. What is nested deeper than a document may be is refused anyway. */
function withDoubles(value: unknown, places: Places, depth: number): unknown {
  if (isWrittenNumber(value)) return Number(digitsOf(value));
  if (typeof value !== 'object' || value === null || depth > deepest) return value;
  if (Array.isArray(value)) return changedList(value, (entry) => withDoubles(entry, places, depth + 1));
  return changedMembers(value as JsonObject, (name, part) => {
    const inside = Object.hasOwn(places, name) ? places[name]! : nowhere;
    return inside === 'kept' ? part : withDoubles(part, inside, depth + 1);
  });
}

const nowhere: Places = {};

// There may be millions of entries, and seldom one that changes.
function changedList(list: unknown[], change: (entry: unknown) => unknown): unknown[] {
  let changed: unknown[] | undefined;
  for (let i = 0; i < list.length; i += 1) {
    const entry = change(list[i]);
    if (entry !== list[i]) (changed ??= list.slice())[i] = entry;
  }
  return changed ?? list;
}

function changedMembers(object: JsonObject, change: (name: string, part: unknown) => unknown): JsonObject {
  let changed: Map<string, unknown> | undefined;
  for (const name of Object.keys(object)) {
    const part = change(name, object[name]);
    if (part !== object[name]) (changed ??= new Map<string, unknown>(Object.entries(object))).set(name, part);
  }
  return changed ? Object.fromEntries(changed) : object;
}
