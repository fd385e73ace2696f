/**
 * The statusReason sentences of the wire contract. Clients show them verbatim, so a cause has one sentence here and
 * nowhere else. What went wrong in detail is told beside them (`statusDetail`), never inside.
 */
export const reasons = {
  noMatchingResources: 'No matching resources',
  noMatchingResourcesNow: 'No matching resources currently available',
  queuedTooLong: 'Maximum time queued was exceeded',
  evicted: 'Job was evicted',
  mountFailed: 'Unable to mount storage volume',
  artifactDownloadFailed: 'Artifact download failed',
  artifactUncompressFailed: 'Artifact uncompress failed',
  imagePullFailed: 'Container image pull failed',
  taskExecutionFailed: 'Unable to execute task(s)',
  stageOutMissingFile: 'Stageout failed due to no such file or directory',
  stageOutTarballFailed: 'Stageout failed due to tarball creation failed',
  stageOutUploadFailed: 'Unable to stageout output to object storage',
  walltimeExceeded: 'Walltime limit exceeded',
  memoryExceeded: 'Job used too much memory',
  deletedByUser: 'Job deleted by user',
  deletedWithWorkflow: 'Job part of a workflow which was deleted by user',
  workflowDeletedByUser: 'Workflow deleted by user',
  /** Ours, as are those below: upstream never has rows for jobs that never run. */
  processesExceeded: 'Job used too many processes',
  notSelected: 'Job not selected when the workflow was run again',
  dependencyFailed: 'Job not run because a job it depends on failed',
} as const;
export type StatusReason = (typeof reasons)[keyof typeof reasons];
