/** Hands e-mail to the configured SMTP server. */
import nodemailer from 'nodemailer';
import type { SmtpConfig } from '../config/config.ts';
import type { Delivery } from '../domain/notification.ts';
import type { EmailText } from './email-text.ts';

export interface Email extends EmailText {
  to: string;
  /** The same whenever it is sent again: what is left of the @ in its Message-ID. */
  id: string;
}

export interface Mailer {
  /** Absent means true: it can't do anything without one. */
  needsAddress?: boolean;
  /** Never throws: what went wrong is in the answer. */
  send(email: Email): Promise<Delivery>;
}

export function createMailer({ host, port, security, user, password, from }: SmtpConfig): Mailer {
  const transport = nodemailer.createTransport({
    host,
    port,
    secure: security === 'tls',
    requireTLS: security === 'starttls',
    ignoreTLS: security === 'none',
    ...(user === undefined || password === undefined ? {} : { auth: { user, pass: password } }),
    connectionTimeout: 15_000,
    greetingTimeout: 15_000,
    socketTimeout: 30_000,
    // Nothing of a message is a path or a URL, whatever names users give to their jobs.
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  return {
    async send(email) {
      try {
        await transport.sendMail(messageOf(from, email));
        return { kind: 'delivered' };
      } catch (error) {
        return judged(error as SmtpError);
      }
    },
  };
}

/** @param from `name@host`, or `A name <name@host>` */
export function messageOf(from: string, { to, id, subject, text }: Email) {
  const domain = /@([^\s>]+)>?$/.exec(from)?.[1];
  return {
    from,
    // One address, not a list: a token's claim is not to be read as several.
    to: { name: '', address: to },
    messageId: `<${id}@${domain}>`,
    subject,
    text,
    // Keeps holiday replies away (RFC 3834).
    headers: { 'Auto-Submitted': 'auto-generated' },
  };
}

interface SmtpError extends Error {
  code?: string;
  responseCode?: number;
}

/** A server that takes neither this address nor this message won't take it tomorrow; anything else may be put right. */
function judged({ code, responseCode, message }: SmtpError): Delivery {
  const isAboutMessage = code === 'EENVELOPE' || code === 'EMESSAGE';
  const isFinal = isAboutMessage && (responseCode === undefined || responseCode >= 500);
  return { kind: isFinal ? 'refused' : 'failed', reason: message };
}
