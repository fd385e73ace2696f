/** Which jobs of a workflow a request is about: its body, or nothing. */
import * as v from 'valibot';
import { parseRanges, type Range, type Selection } from '../domain/selection.ts';
import { badRequest } from './errors.ts';

const names = (what: string) => {
  const message = `${what} must be the name of a job or a list of names`;
  const list = v.union([v.string(), v.pipe(v.array(v.string()), v.nonEmpty(message))], message);
  return v.optional(
    v.pipe(
      list,
      v.transform((given) => [given].flat()),
    ),
  );
};

const wrongInstances = 'instances must be numbers and ranges of them, such as "0-99,150"';
const mostRanges = 1000;
const instances = v.pipe(
  v.union([v.string(), v.number()], wrongInstances),
  v.check(
    (given) => String(given).split(',').length <= mostRanges,
    `instances must not be more than ${mostRanges} numbers and ranges`,
  ),
  v.transform((given) => parseRanges(String(given))),
  v.custom<Range[]>((ranges) => ranges !== undefined, wrongInstances),
);

const words = ['pending', 'running', 'completed', 'failed', 'skipped', 'deleted', 'killed'] as const;
const wrongStatus = `status must be one or more of ${words.join(', ')}`;
const status = v.pipe(
  v.union([v.picklist(words), v.pipe(v.array(v.picklist(words, wrongStatus)), v.nonEmpty(wrongStatus))], wrongStatus),
  v.transform((given) => [given].flat()),
);

const notAnObject = 'a selection of jobs must be an object';

const selectionSchema = v.strictObject(
  { jobs: names('jobs'), from: names('from'), instances: v.optional(instances), status: v.optional(status) },
  (issue) =>
    issue.expected === 'never'
      ? `invalid item "${String(issue.path?.[0]?.key)}" in selection: it has jobs, from, instances and status`
      : notAnObject,
);

/** Undefined: nothing is said, so that everything is meant. @throws ApiError 400 */
export function readSelection(body: unknown): Selection | undefined {
  if (body === undefined) return undefined;
  if (Array.isArray(body)) throw badRequest(notAnObject);
  const parsed = v.safeParse(selectionSchema, body);
  if (!parsed.success) throw badRequest(parsed.issues[0].message);
  const given = Object.entries(parsed.output).filter(([, value]) => value !== undefined);
  return given.length === 0 ? undefined : (Object.fromEntries(given) as Selection);
}
