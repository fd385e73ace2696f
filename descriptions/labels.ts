/** Labels of a job or workflow (docs/wire.md 3.2). */
import { limits } from './limits.ts';
import type { ObjectReader } from './reader.ts';
import { lengthOf, longestName } from './values.ts';

export function readLabels(document: ObjectReader): Record<string, string> {
  if (!document.has('labels')) return {};
  const labels = document.object('labels', 'labels must be defined as a dict');
  if (!labels) return {};
  const names = labels.keys();
  if (names.length > limits.labels.most) {
    document.issue('labels', limits.labels.message);
    return {};
  }
  const entries: [string, string][] = [];
  for (const name of names) {
    const value = labels.value(name);
    if (lengthOf(name) > longestName) {
      labels.issue(name, `label names must be less than ${longestName} characters in length`);
    }
    if (typeof value !== 'string') {
      labels.issue(name, `the value of label "${name}" must be a string`);
      continue;
    }
    if (lengthOf(value) > longestName) {
      labels.issue(name, `label values must be less than ${longestName} characters in length`);
    }
    if (!/^[a-zA-Z0-9]+$/.test(name)) labels.issue(name, `label name "${name}" is invalid`);
    // Letters and digits of any script, as Python's \w has them.
    if (!/^[\p{L}\p{N}_\-./]+$/u.test(value)) labels.issue(name, `label value "${value}" is invalid`);
    entries.push([name, value]);
  }
  return Object.fromEntries(entries);
}
