/** What a job leaves: each output to where it is kept, all of them tried, and published if its attempt still counts. */
import { Context } from '@temporalio/activity';
import { publishOutputs, type RunFacts } from '../db/execution.ts';
import { forgetObjects } from '../db/quotas.ts';
import { scratchOutputs } from '../domain/environment.ts';
import type { AttemptRef, StageOutAnswer } from '../domain/job-messages.ts';
import { pathInDefault } from '../domain/mount.ts';
import { withoutTrailingSlashes } from '../domain/slashes.ts';
import type { OutputRequest, OutputResult } from '../hosts/machine.ts';
import { outputKey } from '../storage/keys.ts';
import { ofCurrentAttempt, runRef, type AttemptDependencies } from './attempt.ts';
import { storeIsAway } from './guarded.ts';
import { urlSeconds } from './images.ts';
import { scratchBinds } from './launch.ts';

/** Our store refuses what was signed for it. */
const refusedAttempts = 3;

interface Output {
  kind: 'file' | 'directory';
  name: string;
  key: string;
}

export function stageOut(deps: AttemptDependencies): (ref: AttemptRef) => Promise<StageOutAnswer> {
  const { db, store, mostBytes } = deps;
  return ofCurrentAttempt(deps, async (run, ref, budget) => {
    const began = Date.now();
    const seconds = () => (Date.now() - began) / 1000;
    const outputs = outputsOf(run, ref);
    const scratchOutput = scratchOutputs(run.job.description.artifacts);
    const inScratch = (name: string) => scratchOutput(name) ?? name;
    const requests = await Promise.all(outputs.map((output) => requestOf(run, output, inScratch(output.name))));
    const machine = await deps.machine(run.machineId);
    const results = await machine.stageOut(runRef(deps, ref), requests, {
      binds: scratchBinds(run.job.description),
      signal: Context.current().cancellationSignal,
    });
    const failures = results.flatMap((result) => (result.kind === 'failed' ? [result] : []));
    const isRefused = failures.some(({ cause }) => cause === 'refused');
    const isAway = failures.some(({ cause }) => cause === 'upload');
    // The results stay on the machine meanwhile.
    if ((isAway && budget.mayWaitForStore()) || (isRefused && budget.count('refused') < refusedAttempts)) {
      throw storeIsAway([...new Set(failures.map(({ detail }) => detail))].join('; '));
    }
    const stored = results.flatMap((result, index) => {
      // What the user's own storage has is not ours to hand out.
      const isOurs = requests[index]!.stored === undefined;
      return result.kind === 'uploaded' && isOurs ? [{ ...outputs[index]!, size: result.sizeBytes }] : [];
    });
    const bytes = stored.reduce((sum, { size }) => sum + size, 0);
    if (bytes > mostBytes) {
      const keys = stored.map(({ key }) => key);
      for (const key of keys) await store.delete(key);
      await forgetObjects(db, keys);
      const detail = `the outputs have ${bytes} bytes together, and those of a job may have ${mostBytes}`;
      return { seconds: seconds(), failures: [{ cause: 'upload', detail }] };
    }
    await publishOutputs(db, ref, stored);
    return { seconds: seconds(), failures: failures.map(failureAsTold) };
  });

  /** @param name where it is in scratch */
  async function requestOf({ job }: RunFacts, { kind, key }: Output, name: string): Promise<OutputRequest> {
    const { description, owner, groups } = job;
    const inStorage = kind === 'directory' ? `${withoutTrailingSlashes(name)}.tgz` : name;
    const stored = pathInDefault(description.storage, inStorage);
    if (stored !== undefined) return { kind, name, stored };
    const by = { owner, groups, kind: 'output' as const };
    return { kind, name, url: await store.presignPut(key, urlSeconds, { mostBytes, by }) };
  }
}

function outputsOf({ job: { description, uid } }: RunFacts, { attempt }: AttemptRef): Output[] {
  const output = (kind: Output['kind']) => (name: string) => ({
    kind,
    name,
    key: outputKey(uid, attempt, kind, name),
  });
  return [...description.outputFiles.map(output('file')), ...description.outputDirs.map(output('directory'))];
}

const failureAsTold = ({ cause, detail }: Extract<OutputResult, { kind: 'failed' }>) => ({
  cause: cause === 'refused' || cause === 'unreadable' ? ('upload' as const) : cause,
  detail,
});
