/**
 * What a database can't keep, wherever it is in a document: NUL and half characters in text, numbers beyond all
 * bounds, bottomless nesting. Documents can have millions of members: paths are only put together for what is wrong.
 */
import { isWrittenNumber } from '../domain/exact-json.ts';
import { shortened, type IssueList } from './issues.ts';
import type { JsonObject } from './reader.ts';

export const deepest = 64;

/** Then the rest of the document is not looked at. */
const mostTold = 20;

export function checkStorable(document: unknown, issues: IssueList): void {
  const keys: (string | number)[] = [];
  let told = 0;
  const tell = (problem: (place: string) => string) => {
    const path = pathOf(keys);
    issues.addBeyondUpstream(path, problem(path === '' ? 'the description' : path));
    told += 1;
  };
  const checkMember = (key: string | number, value: unknown) => {
    keys.push(key);
    check(value);
    keys.pop();
  };
  /** Goes no deeper than a document may. */
  const check = (value: unknown): void => {
    if (typeof value === 'string') {
      if (!isText(value) && !isWrittenNumber(value))
        tell((place) => `${place} must not contain NUL or incomplete characters`);
    } else if (typeof value === 'number') {
      if (!Number.isFinite(value)) tell((place) => `${place} must be a finite number`);
    } else if (typeof value === 'object' && value !== null) {
      if (keys.length === deepest) tell((place) => `${place} is nested more than ${deepest} levels deep`);
      else if (Array.isArray(value)) {
        for (let i = 0; i < value.length && told < mostTold; i += 1) checkMember(i, value[i]);
      } else {
        // Not by entries: those of a large object take longer than all the rest.
        for (const key of Object.keys(value)) {
          if (told >= mostTold) return;
          if (!isText(key)) tell((place) => `a key in ${place} contains NUL or incomplete characters`);
          checkMember(key, (value as JsonObject)[key]);
        }
      }
    }
  };
  check(document);
}

function pathOf(keys: (string | number)[]): string {
  const path = keys.map((key) => (typeof key === 'number' ? `[${key}]` : `.${shortened(key)}`)).join('');
  return path.startsWith('.') ? path.slice(1) : path;
}

/** With the u flag a surrogate matches only where it stands alone. */
const isText = (text: string): boolean => !/[\0\p{Surrogate}]/u.test(text);
