import { describe, expect, test } from 'vitest';
import type { Notification } from '../domain/description.ts';
import { parseJobDescription } from './job.ts';
import { unsupportedInWorkflow, unsupportedReason } from './unsupported.ts';
import { parseWorkflowDescription } from './workflow.ts';

function job(notifications: unknown) {
  return {
    name: 'a',
    resources: { cpus: 1, memory: 1, disk: 1 },
    tasks: [{ image: 'busybox', runtime: 'singularity' }],
    notifications,
  };
}

function read(notifications: unknown): Notification[] | string {
  const parsed = parseJobDescription(job(notifications));
  return parsed.kind === 'valid' ? parsed.description.notifications : parsed.issues[0]!.message;
}

const email = { event: 'jobFinished', type: 'email' };
const hook = { event: 'jobFinished', type: 'webhook', url: 'https://example.org/hook' };

describe('notifications of a description', () => {
  test.each([
    [[email], [email]],
    [[{}], [email]],
    [[{ type: 'webhook', url: hook.url }], [hook]],
    [[{ ...hook, secret: 'sixteen letters.' }], [{ ...hook, secret: 'sixteen letters.' }]],
    [[{ ...hook, secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILA==' }], [{ ...hook, secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILA==' }]],
    [[], []],
  ])('%j are read', (given, expected) => {
    expect(read(given)).toEqual(expected);
  });

  test.each([
    [[{ ...email, url: hook.url }], 'invalid item "url" in notifications'],
    [[{ ...hook, to: 'x' }], 'invalid item "to" in notifications'],
    [[{ ...hook, event: 'workflowFinished' }], 'invalid notification event "workflowFinished"'],
    [[{ event: 3 }], 'the notification event must be a string'],
    [['email'], 'each notification must be an object'],
    [[{ type: 'webhook' }], 'a webhook must have a url'],
    [[{ ...hook, url: 'file:///etc/passwd' }], /must start with http/],
    [[{ ...hook, url: 'https://' }], /must start with http/],
    [[{ ...hook, url: 3 }], /must start with http/],
    [[{ ...hook, url: 'https://me:pw@example.org' }], /must not contain a user name or password/],
    [[{ ...hook, secret: 'short' }], /16 to 256 characters/],
    // What an answer shows in place of a secret, sent back.
    [[{ ...hook, secret: '***' }], /16 to 256 characters/],
    [[{ ...hook, secret: 'whsec_not base64 at all' }], /in base64/],
    [Array.from({ length: 11 }, () => email), 'there must not be more than 10 notifications'],
  ])('%j are refused', (given, sentence) => {
    expect(read(given)).toMatch(sentence);
  });

  test('a sentence about a secret does not repeat it', () => {
    const parsed = parseJobDescription(job([{ ...hook, secret: 'hunter2' }]));
    expect(JSON.stringify(parsed)).not.toContain('hunter2');
  });
});

describe('whether a server can notify', () => {
  const able = {
    sendsEmail: true,
    signsWebhooks: true,
    callsPrivateAddresses: false,
    runsBenchmarks: false,
    mostJobs: 10,
    imageDirectories: [],
    email: 'ann@example.org',
  };
  const secret = 'a secret of sixteen';

  test.each([
    [able, [email, hook], undefined],
    // Told in the job's notificationStates, when the time has come.
    [{ ...able, sendsEmail: false }, [email], undefined],
    [{ ...able, sendsEmail: false, email: undefined }, [email], undefined],
    [{ ...able, sendsEmail: false }, [hook], undefined],
    [{ ...able, email: undefined }, [email], /^there is no address to send e-mail notifications to/],
    [{ ...able, email: undefined }, [hook], undefined],
    [{ ...able, signsWebhooks: false }, [hook], /^this server has no key to sign webhooks with/],
    [{ ...able, signsWebhooks: false }, [{ ...hook, secret }], undefined],
    ...['127.0.0.1', '10.1.2.3', '169.254.169.254', '[::1]', '[fd00::1]', '0x7f.1', '[::ffff:192.168.0.1]', 'localhost']
      .map((host) => ({ ...hook, secret, url: `http://${host}:8080/x` }))
      .flatMap((hidden): [typeof able, unknown[], RegExp | undefined][] => [
        [able, [hidden], /^the url of a webhook must be a public address/],
        [{ ...able, callsPrivateAddresses: true }, [hidden], undefined],
      ]),
    [able, [{ ...hook, secret, url: 'https://8.8.8.8/x' }], undefined],
    [able, [{ ...hook, secret, url: 'https://[2606:4700::1111]/x' }], undefined],
    // Where a name leads is seen when it is called.
    [able, [{ ...hook, secret, url: 'https://intranet.example/x' }], undefined],
  ])('depends on how it is set up: %j, %j', (given, notifications, sentence) => {
    const parsed = parseJobDescription(job(notifications));
    if (parsed.kind === 'invalid') throw new Error(parsed.issues[0]!.message);
    const reason = unsupportedReason(parsed.description, given);
    if (sentence === undefined) expect(reason).toBeUndefined();
    else expect(reason).toMatch(sentence);
  });

  test('is told of a workflow and of its jobs', () => {
    const told = (document: Record<string, unknown>) => {
      const parsed = parseWorkflowDescription(document);
      if (parsed.kind === 'invalid') throw new Error(parsed.issues[0]!.message);
      return unsupportedInWorkflow(parsed.description, { ...able, email: undefined });
    };
    expect(told({ jobs: [job([])] })).toBeUndefined();
    expect(told({ jobs: [job([email])] })).toMatch(/^there is no address .*\(job "a"\)$/);
    expect(told({ jobs: [job([])], notifications: [{ event: 'workflowFinished', type: 'email' }] })).toMatch(
      /^there is no address .*\(claim email\)$/,
    );
    // As some tools send them; docs/wire.md 4.2.
    const factories = [{ type: 'repeat', name: 'f', jobs: ['a'], number: 2, notifications: [email] }];
    expect(told({ jobs: [job([])], factories })).toBeUndefined();
  });
});
