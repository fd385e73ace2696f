/** Numbers that a job tells of itself while it runs, for its owner to look at (docs/wire.md 2.7). */
import type { Database } from '../../db/connection.ts';
import { addPoint, listSeries, type Point, type Series } from '../../db/job-points.ts';
import { readJson } from '../body.ts';
import { badRequest } from '../errors.ts';
import { mostValuesPerJob } from '../limits.ts';
import { isObject } from '../masking.ts';
import { wholeQuery } from '../numbers.ts';
import { timeSeriesOperations as docs } from '../openapi/others.ts';
import { resource, type App, type Guards } from '../resource.ts';
import { jobOf } from './jobs.ts';

const mostMembers = 100;
const longestText = 1000;
/** JSON can write numbers that are read as infinite, and has no word for such; nor must the sum of all values be one. */
const largestNumber = 1e300;
/** A century, in minutes. */
const longestAge = 52_594_920;

export function timeSeriesRoutes(app: App, guards: Guards, { db }: { db: Database }): void {
  resource(app, '/ts', guards, {
    docs: { POST: docs.add },
    jobToken: { POST: 'changes' },
    POST: async (c) => {
      const { job } = c.get('identity');
      if (!job) throw badRequest('A JWT token is required: that of a job, which it finds as PROMINENCE_TOKEN');
      const isAdded = await addPoint(db, job.id, readPoint(await readJson(c)), mostValuesPerJob);
      if (!isAdded) throw badRequest(`A job may have at most ${mostValuesPerJob} values in its time series`);
      return c.json({}, 201);
    },
  });

  resource(app, '/ts/:id{[0-9]+}', guards, {
    docs: { GET: docs.list },
    jobToken: { GET: 'reads' },
    GET: async (c) => {
      const { id } = await jobOf(db, c);
      const start = c.req.query('start') === undefined ? {} : { startAge: wholeQuery(c, 'start', 0, longestAge) };
      const series = await listSeries(db, id, { ...start, stopAge: wholeQuery(c, 'stop', 0, longestAge) });
      return c.json(c.req.query('mean') === undefined ? series : series.flatMap(meanOf));
    },
  });
}

/** Of what are numbers; there is none of texts. */
function meanOf({ measurement, field, tags, values }: Series) {
  const numbers = values.filter((value) => typeof value === 'number');
  if (numbers.length === 0) return [];
  const mean = numbers.reduce((sum, value) => sum + value, 0) / numbers.length;
  return [{ values: [mean], measurement, field, tags }];
}

/** @throws ApiError 400 with the first thing that is wrong, in the order of docs/wire.md 2.7 */
function readPoint(body: unknown): Point {
  if (!isObject(body)) throw badRequest('a time-series point must be a dict');
  const { measurement, fields, tags = {}, time } = body;
  const unknown = Object.keys(body).find((key) => !['measurement', 'fields', 'tags', 'time'].includes(key));
  if (unknown !== undefined) throw badRequest(`invalid item "${unknown}" in time-series point`);
  if (time !== undefined && !(Number.isSafeInteger(time) && Math.abs(time as number) < 1e11)) {
    throw badRequest('time must be an integer');
  }
  if (measurement === undefined) throw badRequest('a measurement name must be specified');
  if (typeof measurement !== 'string') throw badRequest('the measurement name must be a string');
  if (fields === undefined) throw badRequest('fields are not specified');
  if (!isObject(fields)) throw badRequest('fields must be a dict');
  if (!isObject(tags)) throw badRequest('tags must be a dict');
  checkMembers('field', fields, ['number', 'string', 'boolean']);
  checkMembers('tag', tags, ['string']);
  if (Object.keys(fields).length === 0) throw badRequest('fields are not specified');
  if (measurement === '' || measurement.length > longestText) throw badRequest('a measurement name must be specified');
  return { measurement, fields, tags, ...(time === undefined ? {} : { time }) } as Point;
}

function checkMembers(noun: string, members: Record<string, unknown>, types: string[]): void {
  const entries = Object.entries(members);
  if (entries.length > mostMembers) throw badRequest(`a time-series point has at most ${mostMembers} ${noun}s`);
  for (const [name, value] of entries) {
    if (!types.includes(typeof value))
      throw badRequest(`the value of ${noun} "${name}" must be a ${types.join(' or ')}`);
    if (typeof value === 'number' && Math.abs(value) > largestNumber) {
      throw badRequest(`the value of ${noun} "${name}" must be between -${largestNumber} and ${largestNumber}`);
    }
    if (name.length > longestText || String(value).length > longestText) {
      throw badRequest(`names and values in a time-series point are at most ${longestText} characters long`);
    }
  }
}
