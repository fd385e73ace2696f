import { describe, expect, test } from 'vitest';
import type { EndedJob, EndedWorkflow } from '../domain/notification.ts';
import { terminalStatuses } from '../domain/status.ts';
import { emailText } from './email-text.ts';

const facts = {
  uid: 'u',
  owner: 'ann',
  labels: {},
  statusReason: null,
  statusDetail: null,
  createdAt: new Date('2026-11-21T10:00:00Z'),
  startedAt: new Date('2026-11-21T10:00:05.400Z'),
  endedAt: new Date('2026-11-22T12:01:07Z'),
};
const job: EndedJob = {
  ...facts,
  about: 'job',
  id: 12,
  name: 'scan/point/3',
  status: 'completed',
  workflowId: 8,
  parameters: { x: 0.5, y: 'a' },
  execution: {
    site: 'here',
    maxMemoryUsageKB: 1500,
    retries: 1,
    tasks: [{ exitCode: 0, cpuTimeUsage: 61.2 }, { exitCode: 3, cpuTimeUsage: 1 }, { imagePullStatus: 'failed' }],
  },
  hasOutputs: true,
};
const workflow: EndedWorkflow = {
  ...facts,
  about: 'workflow',
  id: 8,
  name: '',
  status: 'failed',
  statusDetail: '1 of 5 jobs failed, 2 were not run',
  counts: { total: 5, done: 2, failed: 1, skipped: 2, deleted: null },
};

describe('an e-mail', () => {
  test('about a job says what became of it and how to get what it left', () => {
    const { subject, text } = emailText(job);
    expect(subject).toBe('Your PROMINENCE job with id 12 (scan/point/3) has finished');
    expect(text).toBe(`Your PROMINENCE job with id 12 (scan/point/3) has finished.

Status:                  completed
Created:                 2026-11-21 10:00:00 UTC
Started:                 2026-11-21 10:00:05 UTC
Ended:                   2026-11-22 12:01:07 UTC
Wall time:               1+02:01:02
Workflow:                8
Parameters:              x=0.5, y=a
Exit code of each task:  0, 3, none
CPU time:                0+00:01:02
Memory:                  2 MB
Retries:                 1
Site:                    here

Its output:   prominence stdout 12
Its files:    prominence download 12
All about it: prominence describe 12
`);
  });

  test('about a job that never ran says only what there is', () => {
    const deleted = {
      ...job,
      status: 'deleted' as const,
      statusReason: 'Job deleted by user',
      startedAt: null,
      name: '',
    };
    const { subject, text } = emailText({
      ...deleted,
      workflowId: null,
      parameters: null,
      execution: { tasks: [] },
      hasOutputs: false,
    });
    expect(subject).toBe('Your PROMINENCE job with id 12 was deleted');
    expect(text).toMatch(/^Reason: +Job deleted by user$/m);
    expect(text).not.toMatch(/Started|Wall time|Exit code|stdout|download|undefined|null/);
  });

  test('about a workflow counts its jobs', () => {
    const { subject, text } = emailText(workflow);
    expect(subject).toBe('Your PROMINENCE workflow with id 8 has failed');
    for (const line of [/^Jobs: +5$/m, /^Succeeded: +2$/m, /^Failed: +1$/m, /^Not run: +2$/m])
      expect(text).toMatch(line);
    expect(text).toContain('prominence rerun 8');
    expect(emailText({ ...workflow, status: 'completed' }).text).not.toContain('rerun');
  });

  test('has a subject of its own for every terminal state', () => {
    const subjects = terminalStatuses.map((status) => emailText({ ...job, status }).subject);
    expect(new Set(subjects).size).toBe(terminalStatuses.length);
  });
});
