/** The users' uploads: names are ours, bytes go straight to the object store (docs/wire.md 2.5). */
import type { Context } from 'hono';
import { gigabyte, type Config } from '../../config/config.ts';
import type { Database } from '../../db/connection.ts';
import type { Identity } from '../../db/submissions.ts';
import { forgetObjects } from '../../db/quotas.ts';
import { announceUpload, forgetUpload } from '../../db/uploads.ts';
import { groupObject, isPlainObjectName, objectName, type GroupObject } from '../../descriptions/object-names.ts';
import { withoutTrailingSlashes } from '../../domain/slashes.ts';
import { uploadKey } from '../../storage/keys.ts';
import type { ObjectStore, StoredObject } from '../../storage/object-store.ts';
import { announceTo } from '../announce.ts';
import { readOptionalJson } from '../body.ts';
import { ApiError, badRequest, forbidden } from '../errors.ts';
import { uploadSeconds } from '../limits.ts';
import { dataOperations as docs } from '../openapi/others.ts';
import type { QuotaKeeper } from '../../service/quotas.ts';
import { resource, route, type App, type Env, type Guards } from '../resource.ts';
import { readableKey } from '../../service/uploads.ts';

interface Dependencies {
  db: Database;
  store: ObjectStore;
  config: Pick<Config, 'quotas'>;
  quotas: QuotaKeeper;
}

export function dataRoutes(app: App, guards: Guards, deps: Dependencies): void {
  const { db, store, quotas, config } = deps;
  const mostBytes = config.quotas.uploadGb * gigabyte;

  const announce = async (c: Context<Env>) => {
    const { name, sha256 } = await readUpload(c);
    const identity = c.get('identity');
    const key = readableKey(identity, objectName(name));
    if (key === undefined) throw forbidden('Not authorized to access upload with this path');
    const { owner, groups } = identity;
    await quotas.refuseFull(owner);
    await announceUpload(db, key, sha256);
    await announceTo(store, db, { key, owner, kind: 'upload' });
    const by = { owner, groups, kind: 'upload' as const };
    const url = await fromStore('Unable to prepare the upload', () =>
      store.presignPut(key, uploadSeconds, { ...(sha256 === undefined ? {} : { sha256 }), mostBytes, by }),
    );
    return c.json({ url }, 201);
  };

  resource(app, '/data', guards, {
    docs: { GET: docs.list, POST: docs.announce },
    jobToken: { GET: 'reads', POST: 'changes' },
    GET: async (c) => {
      const area = uploadKey.own(c.get('identity').owner, '');
      const objects = await fromStore(listingFailed, () => collect(store.list(area)));
      return c.json(objects.map((object) => objectView(object, area)));
    },
    POST: announce,
  });

  // Beside it `upload` is also a name like any other, for listing and deleting.
  route(app, 'POST', '/data/upload', guards, announce, { operation: docs.announce, jobToken: 'changes' });

  resource(app, '/data/:path{.+}', guards, {
    docs: { GET: docs.listGroup, DELETE: docs.delete },
    jobToken: { GET: 'reads' },
    GET: async (c) => {
      const folder = groupFolder(c.get('identity'), withoutTrailingSlashes(pathOf(c)));
      if (!folder) throw forbidden('Not authorized to access this path');
      const { group } = folder;
      const objects = await fromStore(listingFailed, () => listGroup(store, folder));
      return c.json(objects.map((object) => objectView(object, uploadKey.group({ group, name: '' }), `${group}/`)));
    },
    DELETE: async (c) => {
      const key = readableKey(c.get('identity'), objectName(pathOf(c)));
      if (key === undefined) throw forbidden('Not authorized to access this object');
      await fromStore('Unable to delete the object', () => store.delete(key));
      await forgetUpload(db, key);
      await forgetObjects(db, [key]);
      return c.body(null, 204);
    },
  });
}

const listingFailed = 'Unable to list objects';

async function fromStore<T>(what: string, use: () => Promise<T>): Promise<T> {
  try {
    return await use();
  } catch (error) {
    throw new ApiError(400, `${what} due to storage system problems`, { cause: error });
  }
}

/** Duplicate slashes count as one. */
function pathOf(c: Context): string {
  return (c.req.param('path') ?? '').replace(/\/{2,}/g, '/').replace(/^\//, '');
}

/** Its name ends with a slash, or is empty for the whole area. */
function groupFolder(identity: Identity, path: string): GroupObject | undefined {
  return isPlainObjectName(path) ? groupObject(identity.groups, `${path}/`) : undefined;
}

/** The object of that name and what is below it, but not its namesakes: lab/x is not about lab/xy. */
async function listGroup(store: ObjectStore, { group, name }: GroupObject): Promise<StoredObject[]> {
  const itself = name === '' ? undefined : await store.head(uploadKey.group({ group, name: name.slice(0, -1) }));
  const below = await collect(store.list(uploadKey.group({ group, name })));
  return itself ? [itself, ...below] : below;
}

async function collect(objects: AsyncIterable<StoredObject>): Promise<StoredObject[]> {
  const all: StoredObject[] = [];
  for await (const object of objects) all.push(object);
  return all;
}

function objectView(object: StoredObject, area: string, shownAs = ''): Record<string, unknown> {
  return {
    name: `${shownAs}${object.key.slice(area.length)}`,
    size: object.sizeBytes,
    lastModified: object.lastModified.toUTCString(),
  };
}

/** Name and checksum come in the query or as JSON, under the names different clients use. */
async function readUpload(c: Context): Promise<{ name: string; sha256: string | undefined }> {
  const body = await readOptionalJson(c);
  const member = (key: string): unknown =>
    typeof body === 'object' && body !== null && Object.hasOwn(body, key)
      ? (body as Record<string, unknown>)[key]
      : undefined;
  const name = c.req.query('name') ?? member('filename') ?? member('name');
  if (typeof name !== 'string' || name === '') throw badRequest('An object name must be specified');
  // The client sends null for files it finds too large to read twice.
  const checksum = c.req.query('checksum') ?? member('checksum') ?? undefined;
  if (checksum === undefined || checksum === '') return { name, sha256: undefined };
  if (typeof checksum !== 'string' || !/^[0-9a-f]{64}$/i.test(checksum)) {
    throw badRequest('checksum must be a SHA-256 in hexadecimal');
  }
  return { name, sha256: checksum.toLowerCase() };
}
