/**
 * Images and artifacts that are names of uploads: they must exist and be readable by the submitter. What may not be
 * read is answered like what does not exist, so that names of others can't be probed.
 */
import { gigabyte, type Config } from '../config/config.ts';
import type { Database } from '../db/connection.ts';
import type { Identity } from '../db/submissions.ts';
import { announcedChecksums, markVerified, unverifiedUploads } from '../db/uploads.ts';
import { shortened } from '../descriptions/issues.ts';
import { groupObject, imageObject, isPlainObjectName, type ObjectName } from '../descriptions/object-names.ts';
import type { JobDescription } from '../domain/description.ts';
import type { Factory } from '../domain/workflow-description.ts';
import { objectSha256 } from '../storage/checksum.ts';
import { StorageError } from '../storage/errors.ts';
import { uploadKey } from '../storage/keys.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { neededUploads, type NeededUpload } from './needed-uploads.ts';
import { invalid, Rejected } from './rejected.ts';

interface Dependencies {
  db: Database;
  store: ObjectStore;
  config: Pick<Config, 'quotas'>;
}

/** At most this many questions to the store at once. */
const questionsAtOnce = 32;

/**
 * The descriptions with the announced checksums of their images. @throws Rejected when one does not exist
 * @param factoryOf what makes instances of a job, if anything does
 */
export async function withUploads(
  deps: Dependencies,
  identity: Identity,
  jobs: JobDescription[],
  factoryOf: (job: JobDescription) => Factory | undefined = () => undefined,
): Promise<JobDescription[]> {
  const missing = await firstMissing(deps, identity, neededUploads(jobs, factoryOf));
  if (missing) throw invalid(`${missing.kind} ${shortened(missing.name)} does not exist`);
  if (!deps.store.checksPuts) await verify(deps, identity, neededUploads(jobs, factoryOf));
  const imageKeys = new Map<string, string>();
  for (const { image } of jobs.flatMap(({ tasks }) => tasks)) {
    const object = imageObject(image);
    const key = object && readableKey(identity, object);
    if (key !== undefined) imageKeys.set(image, key);
  }
  if (imageKeys.size === 0) return jobs;
  const checksums = await announcedChecksums(deps.db, [...new Set(imageKeys.values())]);
  return jobs.map((job) => ({
    ...job,
    tasks: job.tasks.map((task) => {
      const imageSha256 = checksums.get(imageKeys.get(task.image) ?? '');
      return imageSha256 && task.imageSha256 === undefined ? { ...task, imageSha256 } : task;
    }),
  }));
}

/** Larger ones are judged by the machine that fetches them: it always compares, and fails the job. */
const largestVerifiedBytes = 64 * 1024 * 1024;

/**
 * Where the store takes whatever comes, we look once, at the first job that names the object: then it has arrived.
 * @throws Rejected for other bytes than were announced
 */
async function verify({ db, store }: Dependencies, identity: Identity, needed: Iterable<NeededUpload>): Promise<void> {
  const names = new Map<string, NeededUpload>();
  for (const one of needed) {
    const key = readableKey(identity, one.object);
    if (key !== undefined && !names.has(key)) names.set(key, one);
  }
  for (const announced of await unverifiedUploads(db, [...names.keys()])) {
    const { kind, name } = names.get(announced.key)!;
    const size = (await store.head(announced.key))?.sizeBytes ?? Infinity;
    if (size > largestVerifiedBytes) continue;
    const sha256 = await objectSha256(store, announced.key).catch(unreadable);
    if (sha256 === undefined) continue;
    if (sha256 !== announced.sha256) {
      throw invalid(`${kind} ${name} is not what was announced: its SHA-256 is another. Upload it again`);
    }
    await markVerified(db, announced);
  }
}

/** Where machines read objects may be out of reach from here: then it is left to them. */
function unreadable(error: unknown): undefined {
  if (error instanceof StorageError || error instanceof TypeError) return undefined;
  throw error;
}

/** In the order given. Each object is asked for once. */
async function firstMissing(
  { store, config }: Dependencies,
  identity: Identity,
  needed: Iterable<NeededUpload>,
): Promise<NeededUpload | undefined> {
  const asked = new Set<string>();
  let batch: { needed: NeededUpload; key: string }[] = [];
  const missingInBatch = async (): Promise<NeededUpload | undefined> => {
    const found = await Promise.all(
      batch.map(({ key, needed }) => inStore(store, key, needed, config.quotas.uploadGb * gigabyte)),
    );
    const missing = batch[found.indexOf(false)]?.needed;
    batch = [];
    return missing;
  };
  for (const one of needed) {
    const key = readableKey(identity, one.object);
    if (key === undefined) return (await missingInBatch()) ?? one;
    if (asked.has(key)) continue;
    asked.add(key);
    batch.push({ needed: one, key });
    if (batch.length < questionsAtOnce) continue;
    const missing = await missingInBatch();
    if (missing) return missing;
  }
  return missingInBatch();
}

/** Undefined: nothing this identity may read can have such a name. */
export function readableKey(identity: Identity, object: ObjectName): string | undefined {
  if (!isPlainObjectName(object.area === 'own' ? object.name : object.path)) return undefined;
  const key = objectKey(identity, object);
  return key !== undefined && Buffer.byteLength(key) <= longestKeyBytes ? key : undefined;
}

/** Where an uploaded object is, whatever its name is. Undefined: in no area that this identity may read. */
export function objectKey(
  { owner, groups }: Pick<Identity, 'owner' | 'groups'>,
  object: ObjectName,
): string | undefined {
  if (object.area === 'own') return uploadKey.own(owner, object.name);
  const inGroup = groupObject(groups, object.path);
  return inGroup && uploadKey.group(inGroup);
}

/** As S3 has it. */
const longestKeyBytes = 1024;

async function inStore(
  store: ObjectStore,
  key: string,
  { kind, name }: NeededUpload,
  mostBytes: number,
): Promise<boolean> {
  const found = await store.head(key).catch((error: unknown) => {
    throw new Rejected('unavailable', 'The object store does not answer at the moment, please try again', {
      cause: error,
    });
  });
  // It came past us, and is deleted soon.
  if (found && found.sizeBytes > mostBytes) {
    const size = `has ${found.sizeBytes} bytes, and an upload may have ${mostBytes}`;
    throw invalid(`${kind} ${shortened(name)} ${size}`);
  }
  return found !== undefined;
}
