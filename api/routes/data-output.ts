/**
 * An output that a job puts by itself, while it runs (docs/wire.md 2.5): a checkpoint, or results before the end. Only
 * for outputs of its description: nobody would find another. What the end of the job brings replaces it.
 */
import type { Context } from 'hono';
import { gigabyte, type Config } from '../../config/config.ts';
import type { Database } from '../../db/connection.ts';
import { announceOutput, findJob, type JobRow } from '../../db/execution.ts';
import { outputFileName, outputKey } from '../../storage/keys.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import { readJson } from '../body.ts';
import { badRequest } from '../errors.ts';
import { isObject } from '../masking.ts';
import { dataOperations } from '../openapi/others.ts';
import { announceTo } from '../announce.ts';
import type { QuotaKeeper } from '../../service/quotas.ts';
import { route, type App, type Env, type Guards } from '../resource.ts';

const putSeconds = 7200;

/** To be mounted before the routes of `/data`, which take any name. */
export function dataOutputRoutes(
  app: App,
  guards: Guards,
  deps: { db: Database; store: ObjectStore; config: Pick<Config, 'quotas'>; quotas: QuotaKeeper },
): void {
  const { db, store, config, quotas } = deps;
  const mostBytes = config.quotas.jobOutputGb * gigabyte;
  const announce = async (c: Context<Env>) => {
    const { owner, groups, job: token } = c.get('identity');
    if (!token) throw badRequest('A JWT token is required: that of a job, which it finds as PROMINENCE_TOKEN');
    const body = await readJson(c);
    const name = isObject(body) ? body['name'] : undefined;
    if (typeof name !== 'string' || name === '') throw badRequest('Name not specified');
    const job = await findJob(db, token.id);
    const [output, other] = job ? declaredOutputs(job, name) : [];
    if (!job || !output) throw badRequest(`"${name}" is none of the outputs of this job`);
    if (other) throw badRequest(`"${name}" may be "${output.name}" or "${other.name}": say which`);
    const key = outputKey(job.uid, token.attempt, output.kind, output.name);
    await quotas.refuseFull(owner);
    const isAnnounced = await announceOutput(db, { jobId: token.id, attempt: token.attempt }, { ...output, key });
    if (!isAnnounced) throw badRequest('The job has ended');
    await announceTo(store, db, { key, owner, kind: 'output' });
    const by = { owner, groups, kind: 'output' as const };
    return c.json({ url: await store.presignPut(key, putSeconds, { mostBytes, by }) }, 201);
  };
  route(app, 'POST', '/data/output', guards, announce, {
    operation: dataOperations.announceOutput,
    jobToken: 'changes',
  });
}

/** By the name in the description, or that of the object: the last part of a path, with .tgz for a folder. */
function declaredOutputs({ description }: JobRow, name: string) {
  const outputs = [
    ...description.outputFiles.map((each) => ({ kind: 'file' as const, name: each })),
    ...description.outputDirs.map((each) => ({ kind: 'directory' as const, name: each })),
  ];
  const declared = outputs.find((each) => each.name === name);
  return declared ? [declared] : outputs.filter((each) => outputFileName(each.kind, each.name) === name);
}
