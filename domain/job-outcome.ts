/**
 * How a run that came to its end decides the job's state (docs/wire.md 5.1 to 5.3). A non-zero exit code completes the
 * job; what could not be fetched, run or delivered fails it; limits kill it. Later rules override earlier ones.
 */
import type { JobPolicies } from './description.ts';
import type { TaskExecution } from './execution.ts';
import { reasons, type StatusReason } from './reasons.ts';
import type { TerminalStatus } from './status.ts';

export interface RunReport {
  tasks: TaskExecution[];
  mountFailure?: { detail: string };
  stageInFailure?: { step: 'download' | 'uncompress'; detail: string };
  imagePullFailure?: { detail: string };
  /** A limit on the machine ended a task. */
  limit?: 'walltime' | 'memory' | 'processes';
  /** Where they were too many: how many there might have been. */
  mostProcesses?: number;
  stageOutFailures: { cause: 'missing' | 'tarball' | 'upload'; detail: string }[];
}

export interface JobOutcome {
  status: TerminalStatus;
  statusReason?: StatusReason;
  statusDetail?: string;
  /** Whether the user's own `maximumRetries` applies: something was not as it should be. */
  isRetryable: boolean;
}

export function jobOutcome(report: RunReport, policies: JobPolicies): JobOutcome {
  const tasksFailed = report.tasks.some((task) => task.exitCode !== undefined && task.exitCode !== 0);
  const verdict = verdictOf(report);
  const isRetryable =
    verdict.status === 'failed' ||
    ((tasksFailed || verdict.status === 'killed') && !policies.reportJobSuccessOnTaskFailure);
  return { ...verdict, isRetryable };
}

function verdictOf(report: RunReport): Omit<JobOutcome, 'isRetryable'> {
  if (report.limit === 'walltime') return { status: 'killed', statusReason: reasons.walltimeExceeded };
  if (report.limit === 'memory') {
    const peak = Math.max(0, ...report.tasks.map((task) => task.maxResidentSetSizeKB ?? 0));
    const statusDetail = `a task had up to ${((peak * 1024) / 1e9).toFixed(2)} GB in use when it was last looked at`;
    return { status: 'killed', statusReason: reasons.memoryExceeded, ...(peak > 0 ? { statusDetail } : {}) };
  }
  if (report.limit === 'processes') {
    const most = report.mostProcesses === undefined ? '' : ` (${report.mostProcesses})`;
    const statusDetail = `on one of its machines the job had more processes and threads at one time than the site allows${most}`;
    return { status: 'killed', statusReason: reasons.processesExceeded, statusDetail };
  }
  if (report.mountFailure) {
    return { status: 'failed', statusReason: reasons.mountFailed, statusDetail: report.mountFailure.detail };
  }
  if (report.imagePullFailure) {
    return { status: 'failed', statusReason: reasons.imagePullFailed, statusDetail: report.imagePullFailure.detail };
  }
  const stageOut = report.stageOutFailures[0];
  if (stageOut)
    return { status: 'failed', statusReason: stageOutReason[stageOut.cause], statusDetail: stageOut.detail };
  if (report.stageInFailure) {
    const statusReason =
      report.stageInFailure.step === 'download' ? reasons.artifactDownloadFailed : reasons.artifactUncompressFailed;
    return { status: 'failed', statusReason, statusDetail: report.stageInFailure.detail };
  }
  return { status: 'completed' };
}

const stageOutReason = {
  missing: reasons.stageOutMissingFile,
  tarball: reasons.stageOutTarballFailed,
  upload: reasons.stageOutUploadFailed,
} as const;

/** Whether what depends on the job may run (docs/wire.md 5.4): all exit codes are 0, unless they are not to count. */
export function hasSucceeded(
  status: TerminalStatus,
  tasks: TaskExecution[],
  policies: Pick<JobPolicies, 'reportJobSuccessOnTaskFailure'>,
): boolean {
  if (status !== 'completed') return false;
  return policies.reportJobSuccessOnTaskFailure || exitCodes(tasks).every((code) => code === 0);
}

/** Exit codes in task order; a task that never ran has none. */
export function exitCodes(tasks: TaskExecution[]): number[] {
  return tasks.flatMap((task) => (task.exitCode === undefined ? [] : [task.exitCode]));
}
