/**
 * What a database can't keep, wherever it is in a document: NUL and half characters in text, numbers beyond all
 * bounds, bottomless nesting. Walks without recursion, because the depth is the sender's choice.
 */
import type { IssueList } from './issues.ts';

const deepest = 64;

export function checkStorable(document: unknown, issues: IssueList): void {
  const open: { value: unknown; path: string; depth: number }[] = [{ value: document, path: '', depth: 0 }];
  for (let next = open.pop(); next; next = open.pop()) {
    const { value, path, depth } = next;
    const place = path === '' ? 'the description' : path;
    if (typeof value === 'string') {
      if (!isText(value)) issues.addBeyondUpstream(path, `${place} must not contain NUL or incomplete characters`);
    } else if (typeof value === 'number') {
      if (!Number.isFinite(value)) issues.addBeyondUpstream(path, `${place} must be a finite number`);
    } else if (typeof value === 'object' && value !== null) {
      if (depth === deepest) {
        issues.addBeyondUpstream(path, `${shortened(place)} is nested more than ${deepest} levels deep`);
        continue;
      }
      const isList = Array.isArray(value);
      for (const [key, entry] of Object.entries(value)) {
        if (!isText(key)) issues.addBeyondUpstream(path, `a key in ${place} contains NUL or incomplete characters`);
        const at = isList ? `${path}[${key}]` : path === '' ? key : `${path}.${key}`;
        if (typeof entry !== 'boolean' && entry !== null) open.push({ value: entry, path: at, depth: depth + 1 });
      }
    }
  }
}

/** With the u flag a surrogate matches only where it stands alone. */
const isText = (text: string): boolean => !/[\0\p{Surrogate}]/u.test(text);

const shortened = (place: string): string => (place.length > 80 ? `${place.slice(0, 80)}...` : place);
