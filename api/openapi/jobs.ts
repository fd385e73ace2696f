/** What the routes of jobs and workflows say of themselves. */
import { mostOutputBytes } from '../../domain/call-messages.ts';
import { mostCalls } from '../limits.ts';
import type { Answer, Operation, Parameter } from './operation.ts';
import { arrayOf, object, schema, text, whole } from './schemas.ts';

const flagOf = (description: string): Parameter => ({ schema: text, description });
const counting: Parameter = { schema: { type: 'string', pattern: '^\\d+$' } };

const listQuery = {
  completed: flagOf('`true`: those that came to an end, the newest first, as many as `num`'),
  num: {
    schema: { type: 'string', pattern: '^[+-]?\\d+$' },
    description: 'How many finished ones; negative: all. Default 1',
  },
  all: flagOf('Also finished ones; whatever its value is'),
  status: { schema: { type: 'string', enum: ['pending', 'idle', 'running'] } },
  name: { schema: text },
  constraint: {
    schema: arrayOf({ type: 'string', pattern: '^[^=:]+[=:][^=:]+$' }),
    description: '`label=value`, all of them',
  },
  id: { schema: { type: 'string', pattern: '^\\d+(,\\d+)*$' }, description: '`1,2,3`' },
  detail: flagOf('With everything that describe tells; whatever its value is'),
} satisfies Record<string, Parameter>;

const idempotency = {
  'Idempotency-Key': {
    schema: { type: 'string', minLength: 1, maxLength: 255, pattern: '^[!-~]+$' },
    description: 'A repeat with the same key and the same content gives the same id',
  },
} satisfies Record<string, Parameter>;

const done: Record<number, Answer> = { 200: { description: 'Done', schema: schema('Empty') } };
const created: Record<number, Answer> = {
  201: { description: 'Accepted, and not lost any more', schema: schema('Created') },
};

const ending = (noun: string): Operation => ({
  summary: `End ${noun}`,
  description: 'It is told to end; how it ends is told in its status.',
  answers: done,
  refusals: [400, 403],
});
const several: Operation['query'] = { id: { ...listQuery.id, required: true } };
const changing = { answers: done, refusals: [400, 403] };

export const jobOperations = {
  list: {
    summary: 'List jobs',
    description: 'Unfinished and kept ones, unless something else is asked for.',
    query: {
      ...listQuery,
      workflow: flagOf('`true`: `id` is that of a workflow, and its jobs are meant'),
      succeeded: {
        schema: { type: 'string', enum: ['true', 'false'] },
        description: 'All jobs that ended, and did, or did not: exit codes count, and what was not run did not',
      },
    },
    answers: { 200: { description: 'Jobs', schema: arrayOf(schema('Job')) } },
    refusals: [400],
  },
  submit: {
    summary: 'Submit a job',
    headers: idempotency,
    body: { schema: schema('JobDescription') },
    answers: created,
    refusals: [409],
  },
  deleteSeveral: { ...ending('jobs'), query: several },
  describe: {
    summary: 'Describe a job',
    answers: { 200: { description: 'The job, or nothing', schema: arrayOf(schema('JobDetail')) } },
  },
  delete: ending('a job'),
  remove: { summary: 'Stop keeping a finished job in the queue', ...changing },
  clone: { summary: 'Submit a job again', answers: created, refusals: [400, 403] },
} satisfies Record<string, Operation>;

export const workflowOperations = {
  list: {
    summary: 'List workflows',
    description: 'Unfinished and kept ones, unless something else is asked for.',
    query: listQuery,
    answers: { 200: { description: 'Workflows', schema: arrayOf(schema('Workflow')) } },
    refusals: [400],
  },
  submit: {
    summary: 'Submit a workflow',
    query: { dryrun: flagOf('Only tell what it would be made of') },
    headers: idempotency,
    body: { schema: schema('WorkflowDescription') },
    answers: { ...created, 200: { description: 'What it would be made of', schema: schema('WorkflowPlan') } },
    refusals: [409],
  },
  deleteSeveral: { ...ending('workflows'), query: several },
  describe: {
    summary: 'Describe a workflow',
    answers: { 200: { description: 'The workflow, or nothing', schema: arrayOf(schema('WorkflowDetail')) } },
  },
  rerun: {
    summary: 'Run what did not succeed again, as a new workflow',
    description:
      'With a selection it runs what is selected, keeps what else succeeded, and leaves out the rest. An empty one is none.',
    body: { schema: schema('JobSelection'), isOptional: true },
    answers: { 200: { description: 'The new workflow', schema: schema('Created') } },
    refusals: [400, 403],
  },
  cancel: {
    summary: 'End some jobs of a workflow',
    description: 'The selection must say something: to end all of it, delete the workflow.',
    body: { schema: schema('JobSelection') },
    answers: {
      200: { description: 'How many were told to end', schema: object({ cancelled: { type: 'integer', minimum: 0 } }) },
    },
    refusals: [400, 403],
  },
  delete: ending('a workflow'),
  remove: { summary: 'Stop keeping a finished workflow in the queue', ...changing },
  clone: { summary: 'Submit a workflow again', answers: created, refusals: [400, 403] },
  graph: {
    summary: 'The graph of a workflow, with counts',
    answers: { 200: { description: 'Nodes and edges', schema: schema('WorkflowGraph') } },
    refusals: [400, 403],
  },
} satisfies Record<string, Operation>;

const pathInJob: Parameter = {
  schema: { type: 'string', minLength: 1, maxLength: 1024 },
  description: 'Relative to the scratch directory, or where an artifact is mounted',
};

export const jobCallOperations = {
  exec: {
    summary: 'Run a command in a running job',
    description:
      'Beside its tasks, in a container like that of the one that started last, for at most 90 s. The answer begins a ' +
      `second after the first that the command writes, or at its end. After ${mostOutputBytes / 2 ** 20} MiB of output it is ` +
      `ended. A job has at most ${mostCalls} commands and snapshots under way at a time; one more is refused with 429.`,
    query: { command: { schema: text, description: 'Its words, with commas between them; without a body' } },
    body: { schema: schema('Command'), isOptional: true },
    answers: {
      200: {
        description: 'What it writes to standard output and error, as it comes',
        schema: text,
        type: 'text/plain; charset=utf-8',
        headers: {
          'X-Exit-Code': {
            schema: whole,
            description: 'Absent when the command was still running as the answer began',
          },
        },
      },
    },
    refusals: [400, 403, 429],
  },
  makeSnapshot: {
    summary: 'Store a snapshot of files of a running job',
    description: `Answered when it is stored. It counts as one of the ${mostCalls} commands of a job at a time.`,
    query: { path: { ...pathInJob, required: true } },
    answers: done,
    refusals: [400, 403, 429],
  },
  snapshot: {
    summary: 'Where the latest snapshot of a job is',
    description: 'Also after its end.',
    query: { path: { ...pathInJob, description: 'Of this path only' } },
    answers: { 200: { description: 'A URL that is valid for an hour', schema: schema('SnapshotUrl') } },
    refusals: [400, 403],
  },
} satisfies Record<string, Operation>;

export function outputOperation(stream: string, ofWorkflow: boolean): Operation {
  return {
    summary: ofWorkflow ? `The ${stream} of a job of a workflow` : `The ${stream} of a job`,
    description: ofWorkflow
      ? '`job` is the name of the job, with `/N` for instance N of a factory.'
      : 'While it runs, and after.',
    query: {
      offset: { ...counting, description: 'In bytes' },
      node: ofWorkflow ? { schema: text } : counting,
      attempt: counting,
    },
    answers: { 200: { description: 'What there is of it', schema: text, type: 'text/plain; charset=utf-8' } },
    refusals: [400, 403],
  };
}
