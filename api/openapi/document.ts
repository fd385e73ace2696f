/** The OpenAPI document of the routes that were registered, from what each says of itself. */
import type { Operation, Parameter, RegisteredRoute, Schema } from './operation.ts';
import { schemas } from './schemas.ts';
import { webhooks } from './webhooks.ts';

/** Routes under the prefix that the document shows, of several that behave the same. */
export interface MountedRoutes {
  prefix: string;
  routes: readonly RegisteredRoute[];
}

const refusals: Record<number, string> = {
  400: 'What is asked is not possible, or names something that does not exist',
  401: 'No token, or one that is not accepted; `detail` says why',
  403: 'It belongs to somebody else',
  404: 'There is nothing at such a path, or no such key',
  409: 'The Idempotency-Key was used for another request, or the server is not in a state to do this',
  413: 'The body is larger than the server accepts',
  415: 'The body is of another type than the one that is understood',
  429: 'Too often, or too many at a time',
  500: 'A fault of the server; it has been logged',
  503: 'Something the server needs does not answer at the moment',
};

/** Routes that say nothing of themselves are left out. */
export function openApiDocument(mounted: readonly MountedRoutes[]): Schema {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const { prefix, routes } of mounted) {
    for (const route of routes) {
      if (!route.operation) continue;
      const path = documentedPath(`${prefix}${route.path}`);
      paths[path] = { ...paths[path], [route.method.toLowerCase()]: operationObject(path, route, route.operation) };
    }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'PROMINENCE',
      version: '1',
      description:
        'Container jobs and workflows of them. `/prominence/v1` and `/api/v1` are other names of `/v1`. Every refusal is ' +
        'JSON with one sentence in `error`; a missing thing is a 400, but for keys of `/kv`. But `/health` tells `errors`, ' +
        'and where clients log in `error` may be a word of OAuth, with its sentence in `error_description`.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    security: [{ token: [] }],
    paths,
    webhooks,
    components: {
      securitySchemes: { token: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } },
      schemas,
    },
  };
}

/** `/jobs/:id{[0-9]+}/stdout` as `/jobs/{id}/stdout`. */
export function documentedPath(path: string): string {
  return path.replace(/:(\w+)(?:\{[^}]*\})?/g, '{$1}');
}

function operationObject(
  path: string,
  { method, path: pattern, isGuarded, jobToken }: RegisteredRoute,
  operation: Operation,
) {
  const { summary, description, query = {}, headers = {}, body, answers, isOpen } = operation;
  const inPath = pathParameters(pattern);
  const statuses = new Set([
    ...(operation.refusals ?? []),
    500,
    ...(isGuarded ? [503] : []),
    ...(isOpen ? [] : [401]),
    ...(inPath.length > 0 ? [404] : []),
    ...(isGuarded && method !== 'GET' ? [413] : []),
    ...(body ? [400] : []),
    ...(body && body.type !== bytes ? [415] : []),
  ]);
  return {
    summary,
    ...(description ? { description } : {}),
    operationId: `${method.toLowerCase()}${path.replace(/[^A-Za-z0-9]+(\w?)/g, (_, letter: string) => letter.toUpperCase())}`,
    tags: [tagOf(path)],
    parameters: [...inPath, ...parameters('query', query), ...parameters('header', headers)],
    ...(body
      ? { requestBody: { required: !body.isOptional, content: { [body.type ?? json]: { schema: body.schema } } } }
      : {}),
    responses: { ...answerObjects(answers), ...refusalObjects([...statuses]) },
    ...(isOpen ? { security: [] } : {}),
    ...(jobToken ? { 'x-job-token': jobToken } : {}),
  };
}

const json = 'application/json';
/** Taken whatever type the request says they are of. */
const bytes = 'application/octet-stream';

function tagOf(path: string): string {
  const [noun = ''] = path
    .replace(/^\/v1\//, '/')
    .split('/')
    .slice(1);
  return ['register', 'devicecode', 'token'].includes(noun) && !path.startsWith('/v1/') ? 'login' : noun;
}

function pathParameters(pattern: string) {
  return [...pattern.matchAll(/:(\w+)(?:\{([^}]*)\})?/g)].map(([, name, shape]) => ({
    name,
    in: 'path',
    required: true,
    schema: shape === '[0-9]+' ? { type: 'integer', minimum: 0 } : { type: 'string', minLength: 1 },
    ...(shape === '.+' ? { description: 'May contain slashes' } : {}),
  }));
}

function parameters(where: 'query' | 'header', named: Record<string, Parameter>) {
  return Object.entries(named).map(([name, { schema, description, required = false }]) => ({
    name,
    in: where,
    required,
    schema,
    ...(description ? { description } : {}),
  }));
}

function answerObjects(answers: Operation['answers']) {
  const objects = Object.entries(answers).map(([status, { description, schema, type, otherForm, headers }]) => [
    status,
    {
      description,
      ...(headers ? { headers } : {}),
      ...(schema
        ? {
            content: {
              [type ?? json]: { schema },
              ...(otherForm ? { [otherForm.type]: { schema: otherForm.schema } } : {}),
            },
          }
        : {}),
    },
  ]);
  return Object.fromEntries(objects) as Record<string, unknown>;
}

function refusalObjects(statuses: number[]) {
  const schema = { $ref: '#/components/schemas/Error' };
  return Object.fromEntries(
    statuses.map((status) => [status, { description: refusals[status] ?? 'Refused', content: { [json]: { schema } } }]),
  );
}
