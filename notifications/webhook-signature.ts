/** Signatures by which the receiver of a webhook knows who sent it, and that it was now: standardwebhooks.com, symmetric. */
import { createHmac } from 'node:crypto';

export interface SignedMessage {
  /** The same whenever the message is sent again. */
  id: string;
  /** Seconds since the epoch, of this sending. */
  timestamp: number;
  body: string;
}

/** @param secret any text, or `whsec_` and the key in base64 */
export function webhookSignature(secret: string, { id, timestamp, body }: SignedMessage): string {
  return `v1,${createHmac('sha256', keyOf(secret)).update(`${id}.${timestamp}.${body}`).digest('base64')}`;
}

function keyOf(secret: string): Buffer {
  const prefix = 'whsec_';
  return secret.startsWith(prefix) ? Buffer.from(secret.slice(prefix.length), 'base64') : Buffer.from(secret, 'utf8');
}
