/**
 * Standard output and error of a job (docs/wire.md 2.3), while it runs and after, by its id or by its name in a
 * workflow. Offsets are in bytes.
 */
import type { Context } from 'hono';
import type { Database } from '../../db/connection.ts';
import { findJobHandle, findSteps, readOutput, type JobHandle } from '../../db/job-output.ts';
import { badRequest } from '../errors.ts';
import { largestInteger, wholeQuery } from '../numbers.ts';
import { outputOperation } from '../openapi/jobs.ts';
import { outputAddresses, type OutputAddress } from '../output-address.ts';
import { resource, type App, type Guards } from '../resource.ts';
import { plainText } from '../streaming.ts';
import { jobOf } from './jobs.ts';
import { workflowOf } from './workflows.ts';

interface Dependencies {
  db: Database;
}

type Stream = 'stdout' | 'stderr';

export function jobOutputRoutes(app: App, guards: Guards, deps: Dependencies): void {
  for (const stream of ['stdout', 'stderr'] as const) {
    resource(app, `/jobs/:id{[0-9]+}/${stream}`, guards, {
      docs: { GET: outputOperation(stream, false) },
      jobToken: { GET: 'reads' },
      GET: async (c) => {
        const job = await jobOf(deps.db, c);
        return output(c, deps, job, stream, wholeQuery(c, 'node', 0, largestInteger));
      },
    });
    resource(app, `/workflows/:id{[0-9]+}/:job{.+}/${stream}`, guards, {
      docs: { GET: outputOperation(stream, true) },
      jobToken: { GET: 'reads' },
      GET: async (c) => {
        const workflow = await workflowOf(deps.db, c);
        const address = await resolve(c, deps, workflow.id, stream);
        const job = await findJobHandle(deps.db, address.jobId);
        // Not there yet: a workflow's jobs get their rows after their ids.
        if (!job) return plainText(c, nothing());
        return output(c, deps, job, stream, address.machine);
      },
    });
  }
}

function output(c: Context, deps: Dependencies, job: JobHandle, stream: Stream, node: number): Promise<Response> {
  const offset = wholeQuery(c, 'offset', 0);
  const attempt = wholeQuery(c, 'attempt', job.attempt, largestInteger);
  return plainText(c, readOutput(deps.db, { jobId: job.originId, attempt, node, stream }, offset));
}

/** @throws ApiError 400 when the workflow has no such job or instance */
async function resolve(
  c: Context,
  deps: Dependencies,
  workflowId: number,
  stream: Stream,
): Promise<{ jobId: number; machine: number }> {
  const node = c.req.query('node') ?? '0';
  const addresses = outputAddresses(rawSegments(c, stream), node, stream);
  if (addresses.length === 0) wholeQuery(c, 'node', 0);
  const found = await findSteps(
    deps.db,
    workflowId,
    addresses.map(({ name }) => name),
  );
  let refusal: string | undefined;
  for (const address of addresses) {
    const jobs = found.get(address.name);
    if (!jobs) continue;
    const index = instanceIndex(address, jobs);
    if (typeof index === 'number') return { jobId: jobs.firstJobId + index, machine: address.machine };
    refusal ??= index.refusal;
  }
  throw badRequest(refusal ?? `${stream} does not exist`);
}

function instanceIndex(
  { name, instance }: OutputAddress,
  { count, isFactory }: { count: number; isFactory: boolean },
): number | { refusal: string } {
  if (!isFactory) return instance === undefined ? 0 : { refusal: `job "${name}" is not made by a factory` };
  if (instance === undefined) {
    return count === 1 ? 0 : { refusal: `job "${name}" has ${count} instances: say which, from 0 to ${count - 1}` };
  }
  return instance < count ? instance : { refusal: `job "${name}" has no instance ${instance}, only 0 to ${count - 1}` };
}

/** As they came: a name may contain an encoded slash. */
function rawSegments(c: Context, stream: Stream): string[] {
  const path = new URL(c.req.url).pathname;
  return path.replace(new RegExp(`^.*?/workflows/[0-9]+/(.*)/${stream}$`), '$1').split('/');
}

async function* nothing(): AsyncGenerator<Buffer> {}
