/** Turns a task of a description into what a machine is told to start. */
import { shortened } from '../descriptions/issues.ts';
import { sizeOfText, tooLongToLaunch } from '../descriptions/launch-size.ts';
import type { JobDescription, Task } from '../domain/description.ts';
import {
  scratchFiles,
  taskEnvironment,
  taskNumber,
  workingDirectory,
  type EnvironmentFacts,
} from '../domain/environment.ts';
import type { Capacity } from '../domain/placement.ts';
import { launchNumberOf } from '../domain/launch.ts';
import { seenFolder } from '../domain/mount.ts';
import { taskWords } from '../domain/task-command.ts';
import type { Bind, RunPreparation, TaskLaunch } from '../hosts/machine.ts';
import { byDescription, DescriptionError } from './description-error.ts';

export interface LaunchFacts {
  jobId: number;
  taskIndex: number;
  retry: number;
  walltimeSeconds: number;
  killGraceSeconds: number;
  size: Capacity;
  apiUrl: string;
  token: string;
  imageKey: string;
  fileSha256: string;
  logBytesPerStream: number;
  /** What a job in a workflow also knows of itself. */
  instance: Pick<EnvironmentFacts, 'workflowId' | 'parameters'>;
}

/** @throws DescriptionError when the task can't be started anywhere */
export function taskLaunch(description: JobDescription, facts: LaunchFacts): TaskLaunch {
  const launch = byDescription(() => describedLaunch(description, facts));
  refuseTooLong(launch);
  return launch;
}

/** @throws DescriptionError for more than a program can be given */
export function refuseTooLong({ env, argv = [] }: Pick<TaskLaunch, 'env' | 'argv'>): void {
  const variables = Object.entries(env).map(([name, value]) => ({ name, size: sizeOfText(`${name}=${value}`) }));
  const tooLong = tooLongToLaunch({ variables, words: argv.map(sizeOfText) });
  if (tooLong) throw new DescriptionError(tooLong);
}

function describedLaunch(description: JobDescription, facts: LaunchFacts): TaskLaunch {
  const task = description.tasks[facts.taskIndex]!;
  const { jobId, taskIndex, size, apiUrl, token } = facts;
  const env = taskEnvironment(task, {
    jobId,
    ...facts.instance,
    node: 0,
    nodes: 1,
    taskNumber: taskNumber(description.tasks, taskIndex),
    size,
    apiUrl,
    token,
  });
  return {
    launchNumber: launchNumberOf(taskIndex, facts.retry),
    prepare: preparation(description),
    imageKey: facts.imageKey,
    fileSha256: facts.fileSha256,
    runtime: task.runtime,
    ...commandOf(task, size.cpus, Object.keys(env)),
    ...(task.app === undefined ? {} : { app: task.app }),
    // What a parameter made a path that leads out is no file: the task fails, and says so.
    ...(task.stdout === undefined ? {} : { stdoutFile: scratchFiles(description.artifacts)(task.stdout) ?? '.' }),
    workdir: workingDirectory(task.workdir),
    env,
    binds: [...scratchBinds(description), ...mountBinds(description.storage)],
    walltimeSeconds: Math.ceil(facts.walltimeSeconds),
    memoryBytes: size.memory,
    killGraceSeconds: facts.killGraceSeconds,
    // A little more than is copied from there: so it is seen, and told, that there was more.
    outputBytes: facts.logBytesPerStream + 65_536,
  };
}

/** Folders of scratch that tasks have elsewhere as well. */
export function scratchBinds({ artifacts }: JobDescription): Bind[] {
  return artifacts.flatMap(({ mountpoint }) => (mountpoint ? [mountpoint] : []));
}

function mountBinds(storage: JobDescription['storage']): Bind[] {
  if (!storage || storage.mountpoint === '') return [];
  return [{ from: 'mount', source: seenFolder(storage), target: storage.mountpoint }];
}

export function preparation(description: JobDescription): RunPreparation {
  return {
    inputs: description.inputs.map(({ filename, contentBase64, executable }) => ({
      filename,
      content: Buffer.from(contentBase64, 'base64'),
      executable,
    })),
  };
}

function commandOf(task: Task, cpus: number, names: string[]): { argv?: string[] } {
  try {
    const argv = taskWords(task, cpus, names);
    return argv ? { argv } : {};
  } catch {
    throw new DescriptionError(`cmd ends inside a quotation or after a backslash: ${shortened(task.cmd ?? '')}`);
  }
}
