import * as fc from 'fast-check';
import { Webhook } from 'standardwebhooks';
import { describe, expect, test } from 'vitest';
import { webhookSignature } from './webhook-signature.ts';

const now = () => Math.floor(Date.now() / 1000);

describe('a signature', () => {
  test('is the one of the specification', () => {
    const message = {
      id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      timestamp: 1614265330,
      body: '{"test": 2432232314}',
    };
    expect(webhookSignature('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', message)).toBe(
      'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    );
  });

  test('is accepted by the library of the specification, with keys and with texts as secrets', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 64 }), fc.string(), fc.jsonValue(), (key, text, value) => {
        const message = { id: 'msg_1', timestamp: now(), body: JSON.stringify(value) };
        const headers = (signature: string) => ({
          'webhook-id': message.id,
          'webhook-timestamp': String(message.timestamp),
          'webhook-signature': signature,
        });
        const secret = `whsec_${Buffer.from(key).toString('base64')}`;
        new Webhook(secret).verify(message.body, headers(webhookSignature(secret, message)));
        const words = `words ${text}`;
        const raw = new Webhook(Buffer.from(words, 'utf8'), { format: 'raw' });
        raw.verify(message.body, headers(webhookSignature(words, message)));
        expect(() => raw.verify(`${message.body} `, headers(webhookSignature(words, message)))).toThrow();
      }),
    );
  });
});
