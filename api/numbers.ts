/** Numbers in paths and queries. */
import type { Context } from 'hono';
import { badRequest } from './errors.ts';

/** Of the integer columns: ids, nodes, attempts. */
export const largestInteger = 2_147_483_647;

/** Of a job or workflow. Undefined for a number that none can have: such a thing just does not exist. */
export function readId(text: string): number | undefined {
  const id = Number(text);
  return id >= 1 && id <= largestInteger ? id : undefined;
}

/** `1,2,3`; numbers that nothing can have are left out. @throws ApiError with `message` when it is not a list of numbers */
export function idList(text: string, message: string): number[] {
  const parts = text.split(',').map((part) => part.trim());
  if (!parts.every((part) => /^\d+$/.test(part))) throw badRequest(message);
  return parts.map(readId).filter((id) => id !== undefined);
}

/** A whole number from 0. More than `most` is as much as `most`: there is nothing there either. */
export function wholeQuery(c: Context, name: string, otherwise: number, most = Number.MAX_SAFE_INTEGER): number {
  const text = c.req.query(name);
  if (text === undefined) return otherwise;
  if (!/^\d+$/.test(text)) throw badRequest(`${name} must be a whole number, not "${text}"`);
  return Math.min(Number(text), most);
}
