/** What the server tells addresses of its users: for the document only, where receivers read it. */
import type { Schema } from './operation.ts';
import { schema, text } from './schemas.ts';

const headers = [
  ['webhook-id', 'The same whenever the same thing is told again'],
  ['webhook-timestamp', 'When this was sent, in seconds since the epoch'],
  ['webhook-signature', '`v1,` and the HMAC-SHA256 in base64 of `webhook-id.webhook-timestamp.body`'],
].map(([name, description]) => ({ name, in: 'header', required: true, schema: text, description }));

function webhook(noun: 'job' | 'workflow', document: Schema): Schema {
  return {
    post: {
      summary: `A ${noun} has ended`,
      description: 'To each webhook in `notifications` of its description, as Standard Webhooks are. Not in any order.',
      operationId: `${noun}Finished`,
      tags: ['notifications'],
      security: [],
      parameters: headers,
      requestBody: { required: true, content: { 'application/json': { schema: document } } },
      responses: {
        '2XX': { description: 'It is delivered' },
        '410': { description: 'It is not wanted, and not sent again' },
        default: { description: 'It is sent again later, for 30 hours' },
      },
    },
  };
}

export const webhooks = {
  jobFinished: webhook('job', schema('FinishedJob')),
  workflowFinished: webhook('workflow', schema('FinishedWorkflow')),
};
