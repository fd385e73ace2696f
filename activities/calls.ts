/** Carries out what was asked of a running job on its machine. What was asked is read here: it may hold secrets. */
import { Context } from '@temporalio/activity';
import type { Database } from '../db/connection.ts';
import { currentRun, type RunFacts } from '../db/execution.ts';
import { appendCallOutput, claimCall, endCall, findOpenCall, type JobCall } from '../db/job-calls.ts';
import { findImage } from '../db/machines.ts';
import { forgetObjects, recordObject } from '../db/quotas.ts';
import { mostOutputBytes, type CallRef, type CallResult } from '../domain/call-messages.ts';
import type { JobDescription } from '../domain/description.ts';
import { scratchPath } from '../domain/environment.ts';
import { taskOfLaunch } from '../domain/launch.ts';
import type { RunRef } from '../domain/runs.ts';
import { HostError } from '../hosts/host.ts';
import { snapshotKey } from '../storage/keys.ts';
import { DescriptionError } from './description-error.ts';
import { imageOfTask, tokenSubject, type AttemptDependencies } from './attempt.ts';
import { guarded } from './guarded.ts';
import { ImageMissing } from './images.ts';
import { refuseTooLong, scratchBinds, taskLaunch } from './launch.ts';

/** On the machines' queue. */
export interface CallActivities {
  performCall(ref: CallRef): Promise<void>;
}

/** Beside the workflow. */
export interface CallRecordActivities {
  abandonCall(input: CallRef & { detail: string }): Promise<void>;
}

const putSeconds = 1000;
/** A command that writes nothing does not notice that nobody reads it. */
const wantedEveryMs = 2000;

type Call<Kind> = JobCall & { request: Extract<JobCall['request'], { kind: Kind }> };

export function createCallRecordActivities({ db }: { db: Database }): CallRecordActivities {
  return {
    abandonCall: ({ callId, detail }) => endCall(db, callId, { kind: 'broken', detail }),
  };
}

export function createCallActivities(deps: AttemptDependencies): CallActivities {
  const { db, store } = deps;
  const refOf = ({ jobId, attempt }: JobCall): RunRef => ({ deployment: deps.deployment, jobId, attempt, node: 0 });

  async function imageFile(run: RunFacts, ref: RunRef, taskIndex: number): Promise<string> {
    try {
      const { imageKey } = await imageOfTask(deps, run, ref, taskIndex);
      return (await findImage(db, run.machineId, imageKey, Infinity))?.fileSha256 ?? unknownImage;
    } catch (error) {
      // It was removed from the store since; the run has its copy.
      if (error instanceof ImageMissing) return unknownImage;
      throw error;
    }
  }

  async function exec(call: Call<'exec'>, run: RunFacts): Promise<CallResult> {
    const { argv, limitSeconds } = call.request;
    const machine = await deps.machine(run.machineId);
    let position = 0;
    let bytesLeft = mostOutputBytes;
    let isClaimed = false;
    const keep = (bytes: Buffer) => appendCallOutput(db, call.id, (position += 1), bytes);
    const request = {
      limitSeconds,
      memoryBytes: run.size.memory,
      async launch(launch: number) {
        const { job, size } = run;
        const taskIndex = taskOfLaunch(launch);
        const fileSha256 = await imageFile(run, refOf(call), taskIndex);
        const token = await deps.jobToken(tokenSubject(job, call.attempt), limitSeconds);
        const launched = {
          ...taskLaunch(withoutCommand(job.description, taskIndex), {
            jobId: job.id,
            taskIndex,
            retry: 0,
            walltimeSeconds: limitSeconds,
            killGraceSeconds: deps.killGraceSeconds,
            size,
            apiUrl: deps.apiUrl,
            token,
            imageKey: '',
            fileSha256,
            logBytesPerStream: deps.logBytesPerStream,
            instance: {
              ...(job.workflowId === null ? {} : { workflowId: job.workflowId }),
              ...(job.parameters === null ? {} : { parameters: job.parameters }),
            },
          }),
          argv,
          workdir: scratchPath,
        };
        refuseTooLong(launched);
        isClaimed = await claimCall(db, call.id);
        if (!isClaimed) throw new AlreadyBegun();
        return launched;
      },
      async onOutput(bytes: Buffer) {
        if (bytes.length <= bytesLeft) {
          bytesLeft -= bytes.length;
          return keep(bytes);
        }
        await keep(Buffer.concat([bytes.subarray(0, bytesLeft), notice(`cut here, after ${mostOutputBytes} bytes`)]));
        return false;
      },
    };
    const unwanted = new AbortController();
    const look = setInterval(() => void stillWanted(), wantedEveryMs);
    const stillWanted = async () => {
      // A database that is away says nothing; the next look may.
      const open = await findOpenCall(db, call.id).catch(() => call);
      if (!open) unwanted.abort();
    };
    const signal = AbortSignal.any([unwanted.signal, Context.current().cancellationSignal]);
    try {
      const result = await machine.exec(refOf(call), request, signal);
      if (result.kind === 'ended' && result.cause !== 'exited' && result.cause !== 'unwanted') {
        await keep(notice(endedBy[result.cause](limitSeconds)));
      }
      return result;
    } catch (error) {
      if (error instanceof AlreadyBegun) {
        return { kind: 'broken', detail: 'the worker that ran the command was lost' };
      }
      if (error instanceof DescriptionError) return { kind: 'refused', detail: error.message };
      if (unwanted.signal.aborted) return { kind: 'broken', detail: 'nobody waits for it' };
      if (isClaimed && error instanceof HostError) return { kind: 'broken', detail: error.message };
      throw error;
    } finally {
      clearInterval(look);
    }
  }

  async function snapshot(call: Call<'snapshot'>, run: RunFacts): Promise<CallResult> {
    const { uid, owner, groups } = run.job;
    const key = snapshotKey(uid, call.id);
    const { mostBytes } = deps;
    const by = { owner, groups, kind: 'snapshot' as const };
    const url = await store.presignPut(key, putSeconds, { mostBytes, by });
    const machine = await deps.machine(run.machineId);
    const { path } = call.request;
    const binds = scratchBinds(run.job.description);
    const result = await machine.snapshot(refOf(call), { path, url, binds }, Context.current().cancellationSignal);
    if (result.kind !== 'uploaded') return { kind: 'refused', detail: result.detail };
    if (result.sizeBytes > mostBytes) {
      await store.delete(key);
      await forgetObjects(db, [key]);
      return { kind: 'refused', detail: `the snapshot has ${result.sizeBytes} bytes, and may have ${mostBytes}` };
    }
    await recordObject(db, { key, owner, kind: 'snapshot', size: result.sizeBytes });
    return result;
  }

  return {
    performCall: ({ callId }) =>
      guarded(async () => {
        const call = await findOpenCall(db, callId);
        if (!call) return;
        const run = await currentRun(db, call);
        const result =
          run?.job.status === 'running' ? await perform(call, run) : { kind: 'refused' as const, detail: notRunning };
        await endCall(db, callId, result);
      }),
  };

  function perform(call: JobCall, run: RunFacts): Promise<CallResult> {
    const { request } = call;
    return request.kind === 'exec' ? exec({ ...call, request }, run) : snapshot({ ...call, request }, run);
  }
}

const notRunning = 'Job is not running';
/** Then the machine takes what the run has. */
const unknownImage = 'unknown';

class AlreadyBegun extends Error {}

const endedBy = {
  limit: (seconds: number) => `the command was ended after ${seconds} s, which is as long as one may take`,
  memory: () => 'the command was ended: it used more memory than the job has',
  processes: () => 'the command was ended: it and the job had more processes at one time than the site allows',
  runEnded: () => 'the command was ended with the job',
};

const notice = (text: string): Buffer => Buffer.from(`\n[prominence: ${text}]\n`);

/** The task's image, folders and environment are wanted, and nothing of how it is started. */
function withoutCommand(description: JobDescription, taskIndex: number): JobDescription {
  const tasks = description.tasks.map((task, index) => {
    if (index !== taskIndex) return task;
    const { cmd: _cmd, app: _app, workdir: _workdir, stdout: _stdout, procsPerNode: _procs, ...plain } = task;
    return { ...plain, type: 'basic' as const };
  });
  return { ...description, tasks };
}
