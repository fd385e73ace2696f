/** Secrets in documents that are shown: every view of a job or workflow goes through here, and nothing else masks. */
import {
  changeFactories,
  changeNotifications,
  changeSecrets,
  changeStorage,
  changeTasks,
} from '../domain/secret-fields.ts';

/** What is shown in place of a secret. */
export const masked = '***';

const mask = (): string => masked;

/** A submitted job: tokens of its images, credentials of its storage, secrets of its webhooks. */
export const maskedJob = (job: unknown): unknown => changeSecrets(job, mask);

export const maskedTasks = (tasks: unknown): unknown => changeTasks(tasks, mask);

/** Of a job or a workflow. */
export const maskedNotifications = (notifications: unknown): unknown => changeNotifications(notifications, mask);

export const maskedFactories = (factories: unknown): unknown => changeFactories(factories, mask);

export const maskedStorage = (storage: unknown): unknown => changeStorage(storage, mask);

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
