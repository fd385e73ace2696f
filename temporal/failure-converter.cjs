/**
 * Messages and stacks of failures as payloads, so that the codec encrypts them with all the rest. CommonJS, since the SDK
 * loads it by `require` in our processes, and bundles it with the workflows.
 */
const { DefaultFailureConverter } = require('@temporalio/common');

exports.failureConverter = new DefaultFailureConverter({ encodeCommonAttributes: true });
