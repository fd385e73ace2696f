/** Request bodies: JSON or nothing; forms where a standard wants them. */
import type { Context } from 'hono';
import { parseExactJson } from '../domain/exact-json.ts';
import { ApiError, badRequest } from './errors.ts';

/** No content type counts as JSON: some clients send none. @throws ApiError 400 or 415 */
export async function readJson(c: Context): Promise<unknown> {
  const body = await readText(c);
  return parse(body);
}

/** The same for descriptions, whose numbers are kept as they are written. @throws ApiError 400 or 415 */
export async function readDescription(c: Context): Promise<unknown> {
  const body = await readText(c);
  return parse(body, parseExactJson);
}

/** For routes where everything may also be in the query: undefined when there is no body. */
export async function readOptionalJson(c: Context): Promise<unknown> {
  const body = await readText(c);
  return body.trim() === '' ? undefined : parse(body);
}

/** As browsers and OAuth clients send it. @throws ApiError 415 */
export async function readForm(c: Context): Promise<URLSearchParams> {
  const type = c.req.header('content-type') ?? '';
  if (!/^application\/x-www-form-urlencoded\b/i.test(type)) {
    throw new ApiError(415, 'The request body must be of type application/x-www-form-urlencoded');
  }
  return new URLSearchParams(await c.req.text());
}

async function readText(c: Context): Promise<string> {
  const encoding = c.req.header('content-encoding');
  if (encoding && encoding !== 'identity') {
    throw new ApiError(415, `A request body with Content-Encoding ${encoding} is not understood: send it as it is`);
  }
  const type = c.req.header('content-type');
  if (type && !/^[^;]*\bjson\b/i.test(type)) {
    throw new ApiError(415, `A request body of type ${type} is not understood: send application/json`);
  }
  return c.req.text();
}

function parse(body: string, parser: (text: string) => unknown = JSON.parse): unknown {
  try {
    return parser(body);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw badRequest('The request body is not valid JSON');
  }
}
