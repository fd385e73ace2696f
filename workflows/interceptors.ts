/**
 * Nobody starts, signals or asks a workflow of ours without our keys, wherever there are some. A start fails at once and
 * for good; a signal is dropped, since it must not end the job of somebody else.
 */
import { ApplicationFailure, log, type WorkflowInterceptorsFactory } from '@temporalio/workflow';
import { objection, isUnencrypted, refusal, unencryptedPayload } from '../temporal/unencrypted.ts';

export const interceptors: WorkflowInterceptorsFactory = () => ({
  inbound: [
    {
      async execute(input, next) {
        const against = objection('the start of this workflow', input.args);
        if (against !== undefined) throw ApplicationFailure.nonRetryable(against, unencryptedPayload);
        return next(input);
      },
      async handleSignal(input, next) {
        const against = objection(`the signal ${input.signalName}`, input.args);
        if (against === undefined) return next(input);
        log.warn(`dropped: ${against}`);
      },
      async handleQuery(input, next) {
        if (!input.args.some(isUnencrypted)) return next(input);
        throw ApplicationFailure.nonRetryable(refusal(`the query ${input.queryName}`), unencryptedPayload);
      },
    },
  ],
});
