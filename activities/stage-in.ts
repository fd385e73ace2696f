/** What a job is given: its inputs, and its artifacts from where each of them is. */
import { Context } from '@temporalio/activity';
import { announcedChecksums } from '../db/uploads.ts';
import type { AttemptRef, StageInAnswer } from '../domain/job-messages.ts';
import { meetingFiles } from '../domain/staged-names.ts';
import type { StagedArtifact } from '../hosts/machine.ts';
import { artifactSource, type ReadableSource } from './artifact-source.ts';
import { ofCurrentAttempt, recordRunning, runRef, type AttemptDependencies } from './attempt.ts';
import { storeIsAway } from './guarded.ts';
import { urlSeconds } from './images.ts';
import { preparation } from './launch.ts';

export function stageIn(deps: AttemptDependencies): (ref: AttemptRef) => Promise<StageInAnswer> {
  const { db, store } = deps;
  return ofCurrentAttempt(deps, async (run, ref, budget) => {
    await recordRunning(db, run, ref, new Date());
    const { description } = run.job;
    const failed = (detail: string): StageInAnswer => ({ kind: 'failed', step: 'download', detail, seconds: 0 });
    // Names that parameters were put into meet in single instances.
    const meeting = meetingFiles(description.artifacts, description.inputs);
    if (meeting) return failed(meeting);
    const sources = description.artifacts.map((artifact) => artifactSource(artifact, description.storage, run.job));
    const unreadable = sources.find((source) => source.kind === 'unreadable');
    if (unreadable) return failed(`Artifact ${unreadable.name} does not exist`);
    const readable = sources.filter((source) => source.kind !== 'unreadable');
    const keys = readable.flatMap((source) => (source.kind === 'uploaded' ? [source.key] : []));
    const checksums = await announcedChecksums(db, keys);
    const artifacts = await Promise.all(
      readable.map(async (source, index): Promise<StagedArtifact> => {
        const { executable } = description.artifacts[index]!;
        return { ...(await transferOf(source, checksums)), executable };
      }),
    );
    const machine = await deps.machine(run.machineId);
    const { cancellationSignal } = Context.current();
    const staged = await machine.stageIn(runRef(deps, ref), preparation(description), artifacts, cancellationSignal);
    if (staged.kind === 'done') return staged;
    const { step, detail, seconds, isAway, index } = staged;
    if (isAway && sources[index]?.kind === 'uploaded' && budget.mayWaitForStore()) throw storeIsAway(detail);
    return { kind: 'failed', step, detail, seconds };
  });

  async function transferOf(source: ReadableSource, checksums: Map<string, string>) {
    const { filename } = source;
    if (source.kind === 'mounted') return { stored: source.path, filename };
    if (source.kind === 'web') return { url: source.url, filename };
    const sha256 = checksums.get(source.key);
    return { url: await store.presignGet(source.key, urlSeconds), filename, ...(sha256 ? { sha256 } : {}) };
  }
}
