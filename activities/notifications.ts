/**
 * Tells people and programs what ended. An attempt that failed is told to Temporal, which repeats it, by a failure
 * without words: addresses and what servers say about them stay in Postgres and in the log.
 */
import { ApplicationFailure } from '@temporalio/common';
import type { Logger } from 'pino';
import type { Database } from '../db/connection.ts';
import { findDue, giveUp, recordAttempt, stateOf, type DueNotification } from '../db/notifications.ts';
import { exactJson } from '../domain/exact-json.ts';
import type { Delivery, NotificationRef, NotificationResult } from '../domain/notification.ts';
import { emailText } from '../notifications/email-text.ts';
import type { Mailer } from '../notifications/mail.ts';
import { webhookDocument } from '../notifications/webhook-document.ts';
import type { WebhookCaller } from '../notifications/webhook.ts';
import type { Sealing } from '../secrets/sealing.ts';

export interface NotificationDependencies {
  db: Database;
  sealing: Sealing;
  /** Absent: this server sends no e-mail. */
  mailer?: Mailer;
  webhooks: WebhookCaller;
  /** For webhooks without a secret of their own. */
  webhookKey?: string;
  /** With the version: `https://host/v1` */
  apiUrl: string;
  log: Logger;
}

export interface NotificationActivities {
  /** One attempt. @throws when another one may succeed */
  notify(ref: NotificationRef): Promise<NotificationResult>;
  /** There are to be no more attempts. */
  giveUpNotifying(ref: NotificationRef): Promise<NotificationResult>;
}

export function createNotificationActivities(deps: NotificationDependencies): NotificationActivities {
  const { db, log } = deps;
  return {
    async notify(ref) {
      // What was recorded by an attempt that nobody heard of.
      const state = await stateOf(db, ref);
      if (state === 'delivered' || state === 'givenUp') return { outcome: state };
      const due = await findDue(db, ref);
      if (!due) throw ApplicationFailure.nonRetryable('there is no such notification', 'NotFound');
      const delivery = await attempt(deps, ref, due);
      switch (delivery.kind) {
        case 'delivered':
          await recordAttempt(db, ref, 'delivered', null);
          return { outcome: 'delivered' };
        case 'refused':
          await recordAttempt(db, ref, 'givenUp', delivery.reason);
          log.warn({ ...ref, reason: delivery.reason }, 'a notification was given up');
          return { outcome: 'givenUp' };
        case 'failed':
          await recordAttempt(db, ref, 'retrying', delivery.reason);
          log.info({ ...ref, reason: delivery.reason }, 'a notification could not be delivered; it is tried again');
          throw ApplicationFailure.retryable('not delivered: table notifications has the reason', 'NotDelivered');
      }
    },

    async giveUpNotifying(ref) {
      const { state, detail } = await giveUp(db, ref);
      if (state === 'delivered') return { outcome: 'delivered' };
      log.warn({ ...ref, reason: detail }, 'a notification was given up');
      return { outcome: 'givenUp' };
    },
  };
}

const unknownAddress = 'unknown@localhost';

function attempt(
  deps: NotificationDependencies,
  ref: NotificationRef,
  due: DueNotification,
): Promise<Delivery> | Delivery {
  const { mailer, webhooks, webhookKey, apiUrl } = deps;
  const { email, ended } = due;
  const notification = deps.sealing.open({ notifications: [due.notification] }).notifications[0]!;
  const id = `${ended.uid}.${ref.position}`;
  switch (notification.type) {
    case 'email':
      if (!mailer) return { kind: 'refused', reason: 'this server sends no e-mail: it has no notifications.smtp' };
      if (email === null && mailer.needsAddress !== false) {
        return { kind: 'refused', reason: 'the address of the owner is not known' };
      }
      return mailer.send({ to: email ?? unknownAddress, id, ...emailText(ended) });
    case 'webhook': {
      const secret = notification.secret ?? webhookKey;
      if (secret === undefined)
        return { kind: 'failed', reason: 'this worker has no notifications.webhooks.signingKey' };
      return webhooks.call({
        url: notification.url,
        secret,
        id: `msg_${id}`,
        body: exactJson(webhookDocument(ended, apiUrl)),
      });
    }
  }
}
