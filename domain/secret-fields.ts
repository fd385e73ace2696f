/**
 * Which members of a description are secret. The one list: what is here is stored sealed (secrets/sealing.ts) and shown
 * masked (api/masking.ts). Whatever a document is like, a value that is no secret stays as it is.
 */

type Members = Record<string, unknown>;
/** What becomes of a secret. */
export type Change = (secret: unknown) => unknown;

/** In each kind of storage that any version has known, at any depth. */
const ofStorage = new Set(['app-username', 'app-password', 'token', 'username', 'password']);
const ofImagePullCredential = new Set(['token']);
const ofNotification = new Set(['secret']);

/** Of a job, a workflow, or a part of one that has `tasks`, `storage`, `notifications`, `factories` or `jobs`. */
export function changeSecrets<T>(document: T, change: Change): T {
  if (!isObject(document)) return document;
  const parts: Record<string, (part: unknown, change: Change) => unknown> = {
    tasks: changeTasks,
    storage: changeStorage,
    notifications: changeNotifications,
    jobs: (jobs) => inEach(jobs, (job) => changeSecrets(job, change)),
    factories: changeFactories,
  };
  const changed = Object.entries(parts).filter(([name]) => Object.hasOwn(document, name));
  return { ...document, ...Object.fromEntries(changed.map(([name, part]) => [name, part(document[name], change)])) };
}

export function changeTasks(tasks: unknown, change: Change): unknown {
  return inEach(tasks, (task) => {
    if (!isObject(task) || !isObject(task['imagePullCredential'])) return task;
    return { ...task, imagePullCredential: inMembers(task['imagePullCredential'], ofImagePullCredential, change) };
  });
}

export function changeStorage(storage: unknown, change: Change): unknown {
  if (Array.isArray(storage)) return inEach(storage, (each) => changeStorage(each, change));
  if (!isObject(storage)) return storage;
  const entries = Object.entries(storage);
  return Object.fromEntries(
    entries.map(([key, value]) => [key, ofStorage.has(key) ? change(value) : changeStorage(value, change)]),
  );
}

export function changeNotifications(notifications: unknown, change: Change): unknown {
  return inEach(notifications, (each) => (isObject(each) ? inMembers(each, ofNotification, change) : each));
}

/** Their notifications are ignored, but somebody put them there. */
export function changeFactories(factories: unknown, change: Change): unknown {
  return inEach(factories, (factory) => {
    if (!isObject(factory) || !Object.hasOwn(factory, 'notifications')) return factory;
    return { ...factory, notifications: changeNotifications(factory['notifications'], change) };
  });
}

function inEach(list: unknown, change: (each: unknown) => unknown): unknown {
  return Array.isArray(list) ? list.map(change) : list;
}

function inMembers(members: Members, names: ReadonlySet<string>, change: Change): Members {
  return Object.fromEntries(
    Object.entries(members).map(([key, value]) => [key, names.has(key) ? change(value) : value]),
  );
}

function isObject(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
