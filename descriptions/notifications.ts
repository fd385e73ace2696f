/**
 * Whom to tell when a job or workflow is over (docs/wire.md 3.2). Webhooks are ours; an entry that does not say is an
 * e-mail about the one event there is.
 */
import * as v from 'valibot';
import type { Notification, NotificationEvent } from '../domain/description.ts';
import { limits } from './limits.ts';
import type { ObjectReader } from './reader.ts';

const emailKeys = new Set(['event', 'type']);
const webhookKeys = new Set([...emailKeys, 'url', 'secret']);

export function readNotifications(document: ObjectReader, event: NotificationEvent): Notification[] {
  if (!document.has('notifications')) return [];
  const entries =
    document.list('notifications', 'notifications must be in the form of a list', limits.notifications) ?? [];
  return entries.flatMap((entry, i) => {
    const read = document.reader(entry);
    if (!read) {
      document.issue(`notifications[${i}]`, 'each notification must be an object');
      return [];
    }
    const isWebhook = read.value('type') === 'webhook';
    read.onlyKeys(isWebhook ? webhookKeys : emailKeys, (key) => `invalid item "${key}" in notifications`);
    expect(read, 'event', event, 'notification event');
    if (isWebhook) return readWebhook(read, event);
    expect(read, 'type', 'email', 'notification type');
    return { event, type: 'email' };
  });
}

function expect(read: ObjectReader, key: string, only: string, what: string): void {
  if (!read.has(key)) return;
  const value = read.value(key);
  if (value === only) return;
  read.issue(key, typeof value === 'string' ? `invalid ${what} "${value}"` : `the ${what} must be a string`);
}

function readWebhook(read: ObjectReader, event: NotificationEvent): Notification[] {
  if (!read.has('url')) read.ownIssue('url', 'a webhook must have a url');
  const url = read.ownField('url', webhookUrl);
  const secret = read.ownField('secret', webhookSecret);
  return url === undefined ? [] : [{ event, type: 'webhook', url, ...(secret === undefined ? {} : { secret }) }];
}

const urlRule = 'the url of a webhook must start with http:// or https:// and be at most 2000 characters';

const webhookUrl = v.pipe(
  v.string(urlRule),
  v.check((url) => url.length <= 2000 && /^https?:\/\//i.test(url) && URL.canParse(url), urlRule),
  v.check((url) => {
    const { username, password } = new URL(url);
    return username === '' && password === '';
  }, 'the url of a webhook must not contain a user name or password: use its secret to tell who calls'),
);

const secretRule = 'the secret of a webhook must be 16 to 256 characters: any text, or whsec_ and the key in base64';

const webhookSecret = v.pipe(
  v.string(secretRule),
  v.check(
    (secret) =>
      secret.length >= 16 &&
      secret.length <= 256 &&
      (!secret.startsWith('whsec_') ||
        /^whsec_(?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(secret)),
    secretRule,
  ),
);
