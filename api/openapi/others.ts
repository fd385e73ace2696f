/** What the routes beside jobs and workflows say of themselves. */
import { largestValueBytes, longestKeyBytes, mostKeys, mostValuesPerJob, uploadSeconds } from '../limits.ts';
import type { Operation, Parameter } from './operation.ts';
import { arrayOf, object, schema, text } from './schemas.ts';

export const dataOperations = {
  list: {
    summary: 'List own uploads',
    answers: { 200: { description: 'Uploads', schema: arrayOf(schema('StoredObject')) } },
    refusals: [400],
  },
  announce: {
    summary: 'Announce an upload',
    description: 'Its name and SHA-256 may come in the query too.',
    query: { name: { schema: text }, checksum: { schema: text } },
    body: { schema: schema('Upload'), isOptional: true },
    answers: {
      201: {
        description: `Where to put the bytes, within ${uploadSeconds / 60} minutes`,
        schema: schema('UploadUrl'),
      },
    },
    refusals: [400, 403],
  },
  listGroup: {
    summary: 'List uploads of a group',
    answers: { 200: { description: 'Uploads', schema: arrayOf(schema('StoredObject')) } },
    refusals: [400, 403],
  },
  delete: {
    summary: 'Delete an upload',
    answers: { 204: { description: 'It is gone' } },
    refusals: [400, 403],
  },
  announceOutput: {
    summary: 'Announce an output of the job that asks',
    description: 'With the token of a running job. What the end of the job brings replaces it.',
    body: { schema: schema('OwnOutput') },
    answers: { 201: { description: 'Where to put the bytes, within two hours', schema: schema('UploadUrl') } },
  },
} satisfies Record<string, Operation>;

const withValues: Parameter = { schema: text, description: 'Also the values; whatever its value is' };
const keyList = arrayOf(schema('Key'));
const done: Operation['answers'] = { 200: { description: 'Done', schema: schema('Empty') } };

export const kvOperations = {
  list: {
    summary: 'List own keys',
    description: 'But those with `_internal_` in them.',
    query: { values: withValues },
    answers: { 200: { description: 'Keys in order', schema: keyList } },
  },
  get: {
    summary: 'The value of a key, or the keys that begin with it',
    description:
      'A secret is told to jobs of its owner, and to the owner where `reveal` asks for it; otherwise as `***`. The header ' +
      '`X-Secret` says which: `revealed` or `masked`.',
    query: {
      list: { schema: text, description: '`true`: keys that begin so, and no value' },
      values: withValues,
      reveal: { schema: text, description: '`true`: also if it is a secret' },
    },
    answers: {
      200: {
        description: 'The bytes that were stored, or a list of keys in order',
        schema: text,
        type: 'text/plain; charset=utf-8',
        otherForm: { schema: keyList, type: 'application/json' },
      },
    },
    refusals: [400],
  },
  set: {
    summary: 'Set the value of a key',
    description: `A key has at most ${longestKeyBytes} bytes; several slashes in it count as one. A user has at most ${mostKeys} keys.`,
    query: {
      prev: { schema: text, description: 'Only if this is its value; empty: only if there is no such key' },
      secret: {
        schema: { type: 'string', enum: ['true', 'false'] },
        description:
          'Whether it is a secret: encrypted at rest, and masked in answers. Not given: as it is; a new one is none',
      },
    },
    body: {
      schema: { type: 'string', minLength: 1, description: `Any bytes, at most ${largestValueBytes}` },
      type: 'application/octet-stream',
    },
    answers: { 201: { description: 'It is set', schema: schema('Empty') } },
  },
  delete: {
    summary: 'Delete a key, or those that begin with it',
    description: 'Also done when there was none.',
    query: { prefix: { schema: text, description: 'All keys that begin so; whatever its value is' } },
    answers: done,
    refusals: [400],
  },
} satisfies Record<string, Operation>;

const day = (description: string): Parameter => ({
  schema: { type: 'string', format: 'date' },
  description,
  required: true,
});

export const accountingOperation: Operation = {
  summary: 'What was used in a period',
  description: "By jobs that were submitted in it. Others are seen only in groups of one's own.",
  query: {
    start: day('The first day of it, in UTC'),
    end: day('The last day of it, in UTC'),
    by_group: { schema: text, description: '`true`: by group instead of by user' },
    show_all_users: {
      schema: text,
      description: '`true`: all members of own groups, beside the groups if these are asked for',
    },
  },
  answers: { 200: { description: 'By name of user and of group', schema: schema('Accounting') } },
  refusals: [400],
};

export const quotasOperation: Operation = {
  summary: 'What one may have and do here, and how much of it is used',
  description:
    'What has no `used` is a limit of each upload, job or image. Beyond a limit a request is refused with the numbers.',
  answers: { 200: { description: 'By name', schema: schema('Quotas') } },
  refusals: [403],
};

export const barOperations = {
  list: {
    summary: 'Who is barred',
    description: 'For operators, as all about bars.',
    answers: { 200: { description: 'Owners and groups', schema: arrayOf(schema('Bar')) } },
    refusals: [403],
  },
  add: {
    summary: 'Bar an owner or a group',
    description:
      'Their tokens and those of their jobs are refused, what waits is ended and what runs is killed. Every process knows ' +
      'it within a second. A repeat replaces the reason.',
    body: { schema: schema('BarReason'), isOptional: true },
    answers: { 200: { description: 'How many jobs and workflows are being ended', schema: schema('Barred') } },
    refusals: [400, 403],
  },
  remove: {
    summary: 'Let them in again',
    answers: { 200: { description: 'Done', schema: schema('Empty') } },
    refusals: [400, 403],
  },
} satisfies Record<string, Operation>;

export const resourcesOperation: Operation = {
  summary: 'The machines that could take jobs now',
  answers: { 200: { description: 'Those with most free CPUs first', schema: schema('Machines') } },
};

const age = (description: string): Parameter => ({ schema: { type: 'string', pattern: '^\\d+$' }, description });

export const timeSeriesOperations = {
  add: {
    summary: 'Add a point to the time series of the job that asks',
    description: `With the token of a job, which may have at most ${mostValuesPerJob} values.`,
    body: { schema: schema('Point') },
    answers: { 201: { description: 'It is added', schema: schema('Empty') } },
  },
  list: {
    summary: 'The time series of a job',
    query: {
      start: age('Not before so many minutes ago'),
      stop: age('Not after so many minutes ago'),
      mean: { schema: text, description: 'Only the mean of each that has numbers; whatever its value is' },
    },
    answers: { 200: { description: 'One for each field and set of tags', schema: arrayOf(schema('Series')) } },
    refusals: [400, 403],
  },
} satisfies Record<string, Operation>;

export const tokenOperation: Operation = {
  summary: 'Get a token of this server for the same user',
  description:
    'For clients that can not renew the one of the identity provider. It can not be used to get another. Got with a token of this server it ends when that does.',
  answers: { 201: { description: 'The token', schema: schema('IssuedToken') } },
  refusals: [403],
};

export const healthOperation: Operation = {
  summary: 'Whether the server can do its work',
  isOpen: true,
  answers: {
    204: { description: 'It can' },
    409: {
      description: 'It can not; told as upstream did, not in `error`',
      schema: object({ errors: text }),
    },
  },
};

const form = 'application/x-www-form-urlencoded';

/** OAuth's own words in `error`. */
export const loginOperations = {
  register: {
    summary: 'Register a client at the identity provider',
    isOpen: true,
    body: { schema: schema('ClientRegistration') },
    answers: { 201: { description: 'The client', schema: schema('RegisteredClient') } },
    refusals: [401, 403, 429],
  },
  deviceCode: {
    summary: 'Begin to log in',
    isOpen: true,
    body: { schema: schema('DeviceRequest'), type: form },
    answers: { 200: { description: 'What the user is to do', schema: schema('DeviceCode') } },
    refusals: [401, 403, 429],
  },
  token: {
    summary: 'Ask whether the user has logged in',
    isOpen: true,
    body: { schema: schema('TokenRequest'), type: form },
    answers: { 200: { description: 'The token', schema: schema('Token') } },
    refusals: [401, 403, 429],
  },
} satisfies Record<string, Operation>;

export function codecOperation(verb: 'Encode' | 'Decode'): Operation {
  return {
    summary: `${verb} payloads of Temporal`,
    description: 'For operators, by the tools of Temporal.',
    body: { schema: schema('Payloads') },
    answers: { 200: { description: 'The same payloads', schema: schema('Payloads') } },
    refusals: [403],
  };
}

export const codecSessionOperations = {
  page: {
    summary: 'A page to open a session of the codec with',
    isOpen: true,
    answers: { 200: { description: 'The page', schema: text, type: 'text/html; charset=UTF-8' } },
  },
  open: {
    summary: 'Open a session of the codec',
    description: 'For operators, in browsers.',
    isOpen: true,
    body: { schema: object({ token: text }), type: form },
    answers: { 200: { description: 'With a cookie', schema: text, type: 'text/html; charset=UTF-8' } },
    refusals: [401, 403],
  },
} satisfies Record<string, Operation>;

export const rootOperation: Operation = {
  summary: 'What this is, and where to go on',
  isOpen: true,
  answers: {
    200: {
      description: 'Name, version and paths',
      schema: object({ name: text, version: text, api: text, documentation: text, openapi: text, health: text }),
    },
  },
};

export const documentOperation: Operation = {
  summary: 'This document',
  isOpen: true,
  answers: { 200: { description: 'OpenAPI 3.1', schema: { type: 'object' } } },
};

export const pageOperation: Operation = {
  summary: 'A page to browse this document',
  isOpen: true,
  answers: { 200: { description: 'The page', schema: text, type: 'text/html; charset=UTF-8' } },
};
