/** No activity of ours is done for whom our keys are unknown, wherever there are some: whoever reaches Temporal can ask. */
import { ApplicationFailure } from '@temporalio/common';
import type { ActivityInterceptorsFactory } from '@temporalio/worker';
import { objection, unencryptedPayload } from './unencrypted.ts';

export const encryptedOnly: ActivityInterceptorsFactory = () => ({
  inbound: {
    async execute(input, next) {
      const against = objection('what this activity was asked', input.args);
      if (against !== undefined) throw ApplicationFailure.nonRetryable(against, unencryptedPayload);
      return next(input);
    },
  },
});
