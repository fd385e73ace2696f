import { expect, test } from 'vitest';
import { webhookDocument } from './webhook-document.ts';

const facts = {
  uid: 'never told',
  owner: 'ann',
  name: 'n',
  labels: { app: 'a' },
  createdAt: new Date(10_000),
  endedAt: new Date(75_900),
};

test('a webhook about a job is told its end in the words of the API', () => {
  const document = webhookDocument(
    {
      ...facts,
      about: 'job',
      id: 3,
      status: 'killed',
      statusReason: 'Walltime limit exceeded',
      statusDetail: null,
      startedAt: new Date(20_000),
      workflowId: 1,
      parameters: { x: 1 },
      execution: { tasks: [{ exitCode: 0 }, { exitCode: 137 }] },
      hasOutputs: false,
    },
    'https://api.example.org/v1',
  );
  expect(document).toEqual({
    type: 'jobFinished',
    timestamp: '1970-01-01T00:01:15.900Z',
    data: {
      id: 3,
      name: 'n',
      owner: 'ann',
      labels: { app: 'a' },
      status: 'killed',
      statusReason: 'Walltime limit exceeded',
      events: { createTime: 10, startTime: 20, endTime: 75 },
      url: 'https://api.example.org/v1/jobs/3',
      workflowId: 1,
      parameters: { x: 1 },
      exitCodes: [0, 137],
    },
  });
});

test('a webhook about a workflow is told its progress, which adds up', () => {
  const document = webhookDocument(
    {
      ...facts,
      about: 'workflow',
      id: 1,
      status: 'failed',
      statusReason: null,
      statusDetail: 'd',
      startedAt: null,
      counts: { total: 6, done: 3, failed: 1, skipped: 2, deleted: null },
    },
    'https://api.example.org/v1',
  );
  expect(document).toMatchObject({
    type: 'workflowFinished',
    data: {
      statusDetail: 'd',
      events: { createTime: 10, endTime: 75 },
      url: 'https://api.example.org/v1/workflows/1',
      progress: { total: 6, done: 3, failed: 1, queued: 0, waiting: 2 },
    },
  });
});
