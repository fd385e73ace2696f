/** Keeps e-mail as files, where there is no SMTP server to hand it to: each is one that any mail program opens. */
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import nodemailer from 'nodemailer';
import type { Delivery } from '../domain/notification.ts';
import { messageOf, type Email, type Mailer } from './mail.ts';

const from = 'PROMINENCE <prominence@localhost>';

/** @param folder must be there; a message that is kept again replaces itself */
export function createMailFolder(folder: string): Mailer {
  const writer = nodemailer.createTransport({
    streamTransport: true,
    buffer: true,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  return {
    needsAddress: false,
    async send(email: Email): Promise<Delivery> {
      const file = join(folder, `${email.id}.eml`);
      try {
        const { message } = await writer.sendMail(messageOf(from, email));
        await writeFile(`${file}.new`, message as Buffer, { mode: 0o600 });
        await rename(`${file}.new`, file);
        return { kind: 'delivered' };
      } catch (error) {
        return { kind: 'failed', reason: `the e-mail could not be kept: ${(error as Error).message}` };
      }
    },
  };
}
