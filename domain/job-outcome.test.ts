import { describe, expect, it } from 'vitest';
import type { JobPolicies } from './description.ts';
import { jobOutcome, type RunReport } from './job-outcome.ts';

const policies: JobPolicies = {
  maximumRetries: 0,
  maximumTaskRetries: 0,
  maximumTimeInQueueMinutes: 0,
  maximumIdleTimePerResourceMinutes: 0,
  leaveInQueue: false,
  ignoreTaskFailures: false,
  reportJobSuccessOnTaskFailure: false,
  runSerialTasksOnAllNodes: false,
  priority: 0,
};
const report = (more: Partial<RunReport>): RunReport => ({ tasks: [], stageOutFailures: [], ...more });

describe('the outcome of a run', () => {
  it('is completed whatever the exit code, and asks for a retry only when a task failed', () => {
    expect(jobOutcome(report({ tasks: [{ exitCode: 0 }] }), policies)).toEqual({
      status: 'completed',
      isRetryable: false,
    });
    expect(jobOutcome(report({ tasks: [{ exitCode: 3 }] }), policies)).toEqual({
      status: 'completed',
      isRetryable: true,
    });
    const forgiving = { ...policies, reportJobSuccessOnTaskFailure: true };
    expect(jobOutcome(report({ tasks: [{ exitCode: 3 }] }), forgiving).isRetryable).toBe(false);
    expect(jobOutcome(report({ limit: 'walltime' }), policies).isRetryable).toBe(true);
    expect(jobOutcome(report({ limit: 'walltime' }), forgiving).isRetryable).toBe(false);
  });

  it('says that there were too many processes, and how many there may be', () => {
    expect(jobOutcome(report({ limit: 'processes', mostProcesses: 4096 }), policies)).toMatchObject({
      status: 'killed',
      statusReason: 'Job used too many processes',
      statusDetail:
        'on one of its machines the job had more processes and threads at one time than the site allows (4096)',
    });
  });

  it('lets a limit win over the stage-out that failed after it', () => {
    const both = report({ limit: 'walltime', stageOutFailures: [{ cause: 'missing', detail: 'out.txt' }] });
    expect(jobOutcome(both, policies)).toMatchObject({ status: 'killed', statusReason: 'Walltime limit exceeded' });
    expect(jobOutcome(report({ limit: 'memory' }), policies)).toMatchObject({
      statusReason: 'Job used too much memory',
    });
  });

  it('lets a failed image pull win over the outputs that are missing because of it', () => {
    const both = report({
      imagePullFailure: { detail: 'no such image' },
      stageOutFailures: [{ cause: 'missing', detail: 'x' }],
    });
    expect(jobOutcome(both, policies)).toMatchObject({
      status: 'failed',
      statusReason: 'Container image pull failed',
      statusDetail: 'no such image',
    });
  });

  it('tells of a storage that could not be mounted, and asks for a retry', () => {
    expect(jobOutcome(report({ mountFailure: { detail: 'it is away' } }), policies)).toEqual({
      status: 'failed',
      statusReason: 'Unable to mount storage volume',
      statusDetail: 'it is away',
      isRetryable: true,
    });
  });

  it.each([
    ['missing', 'Stageout failed due to no such file or directory'],
    ['tarball', 'Stageout failed due to tarball creation failed'],
    ['upload', 'Unable to stageout output to object storage'],
  ] as const)('tells a stage-out that failed by %s', (cause, statusReason) => {
    expect(jobOutcome(report({ stageOutFailures: [{ cause, detail: '' }] }), policies)).toMatchObject({
      status: 'failed',
      statusReason,
    });
  });

  it.each([
    ['download', 'Artifact download failed'],
    ['uncompress', 'Artifact uncompress failed'],
  ] as const)('tells a stage-in that failed at %s', (step, statusReason) => {
    expect(jobOutcome(report({ stageInFailure: { step, detail: '' } }), policies)).toMatchObject({
      status: 'failed',
      statusReason,
    });
  });
});
