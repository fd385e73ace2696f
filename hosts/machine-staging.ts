/**
 * Files in and out of a run's scratch folder: the Node side of `stage-in.sh`, `unpack-stream.sh` and `stage-out.sh`. A stream that
 * was cut must not pass for a whole one: inputs end with a member of their own, other streams with a boundary, for a caller
 * may die in the middle, and tar and cat would not tell.
 */
import { randomBytes } from 'node:crypto';
import { posix } from 'node:path';
import { Readable } from 'node:stream';
import { runToken, type RunRef } from '../domain/runs.ts';
import { withoutTrailingSlashes } from '../domain/slashes.ts';
import type { Outside } from '../outbound/outside.ts';
import { ConversionError, DownloadError, fetchAndConvert } from './archive-conversion.ts';
import { lastWords, type ScriptRunner } from './installed-scripts.ts';
import { inputsTar, isBasename } from './machine-tasks.ts';
import type {
  Bind,
  OutputRequest,
  OutputResult,
  RunPreparation,
  StagedArtifact,
  StageInResult,
  StageOutOptions,
  Transfer,
} from './machine.ts';
import { curlConfigValue } from './quoting.ts';
import { userWords } from './user-words.ts';
import { unpackRule } from '../domain/unpack-rule.ts';

type Failure = { step: 'download' | 'uncompress'; isAway: boolean; index: number; detail: string };

/** @throws HostError; Error with the machine's words when scratch can't be written */
export async function stageIn(
  scripts: ScriptRunner,
  outside: Outside,
  run: RunRef,
  prepare: RunPreparation,
  artifacts: StagedArtifact[],
  signal?: AbortSignal,
): Promise<StageInResult> {
  const began = performance.now();
  const seconds = () => (performance.now() - began) / 1000;
  const stdin = Buffer.concat([
    Buffer.from(artifacts.map(transferLine).join('')),
    prepare.inputs.length > 0 ? await inputsTar(prepare) : Buffer.alloc(0),
  ]);
  const args = [runToken(run), prepare.inputs.length > 0 ? '1' : '0', String(artifacts.length)];
  for (const artifact of artifacts) args.push(...describe(artifact));
  for (;;) {
    const result = await scripts.run('stage-in', { args, stdin, lasts: 'hours', ...(signal ? { signal } : {}) });
    const [word, ...rest] = result.stdout.toString().trim().split(' ');
    if (word === 'done') return { kind: 'done', seconds: seconds() };
    if (word === 'failed') return { kind: 'failed', ...parseFailure(rest), seconds: seconds() };
    if (word !== 'needs') throw new Error(`files could not be staged: ${lastWords(result.stderr)}`);
    const index = Number(rest[0]);
    const failure = await convertFor(scripts, outside, run, artifacts[index]!, index, signal);
    if (failure) return { kind: 'failed', ...failure, seconds: seconds() };
  }
}

function describe(artifact: StagedArtifact): string[] {
  if (!isBasename(artifact.filename)) throw new Error(`not a file name: ${JSON.stringify(artifact.filename)}`);
  const rule = unpackRule(artifact.filename);
  const unpackedName = 'unpackedName' in rule ? rule.unpackedName : '-';
  return [artifact.filename, artifact.executable ? '775' : '644', rule.rule, unpackedName, artifact.sha256 ?? '-'];
}

function transferLine({ url, stored }: Transfer): string {
  if (stored === undefined) return `url = ${curlConfigValue(url)}\n`;
  if (/[\r\n\0]/.test(stored)) throw new Error('a path in a storage must not contain line breaks');
  return `stored ${stored}\n`;
}

function parseFailure([step, index, ...detail]: string[]): Failure {
  return {
    step: step === 'uncompress' ? 'uncompress' : 'download',
    isAway: step === 'away',
    index: Number(index),
    detail: userWords(detail.join(' ')).trim(),
  };
}

/** The machine lacks the program: our process fetches and unpacks for it. Undefined when all went well. */
async function convertFor(
  scripts: ScriptRunner,
  outside: Outside,
  run: RunRef,
  artifact: StagedArtifact,
  index: number,
  signal?: AbortSignal,
): Promise<Failure | undefined> {
  const [, mode, , unpackedName] = describe(artifact) as [string, string, string, string];
  const rule = unpackRule(artifact.filename).rule;
  if (artifact.url === undefined) {
    return {
      step: 'uncompress',
      isAway: false,
      index,
      detail: `the machine has no program to unpack ${artifact.filename}`,
    };
  }
  if (rule === 'none' || rule === 'tar') throw new Error(`a machine asked for help with ${artifact.filename}`);
  try {
    const converted = await fetchAndConvert(outside, artifact, rule, signal);
    const boundary = `#${randomBytes(12).toString('hex')}`;
    const result = await scripts.run('unpack-stream', {
      args: [runToken(run), String(index), converted.kind, mode, unpackedName, boundary],
      stdin: endingWith(converted.stream, boundary),
      lasts: 'hours',
      ...(signal ? { signal } : {}),
    });
    const [word, ...rest] = result.stdout.toString().trim().split(' ');
    if (word === 'done') return undefined;
    if (word === 'failed') return parseFailure(rest);
    throw new Error(`${artifact.filename} could not be unpacked: ${lastWords(result.stderr)}`);
  } catch (error) {
    if (error instanceof DownloadError) return { step: 'download', isAway: error.isAway, index, detail: error.message };
    if (error instanceof ConversionError) return { step: 'uncompress', isAway: false, index, detail: error.message };
    throw error;
  }
}

/** Whoever reads it can tell its end from that of its sender. */
function endingWith(source: Readable, boundary: string): Readable {
  async function* both(): AsyncGenerator<Uint8Array> {
    yield* source as AsyncIterable<Buffer>;
    yield Buffer.from(boundary);
  }
  return Readable.from(both(), { objectMode: false });
}

/** @throws HostError; Error when the machine did not answer for each output */
export async function stageOut(
  scripts: ScriptRunner,
  run: RunRef,
  outputs: OutputRequest[],
  { binds = [], signal }: StageOutOptions = {},
): Promise<OutputResult[]> {
  if (outputs.length === 0) return [];
  const result = await scripts.run('stage-out', {
    args: [runToken(run), ...boundFolders(binds, 'counted'), ...outputs.flatMap(({ kind, name }) => [kind, name])],
    stdin: Buffer.from(outputs.map(transferLine).join('')),
    lasts: 'hours',
    ...(signal ? { signal } : {}),
  });
  const results = result.stdout.toString().split('\n').filter(Boolean).map(parseOutput);
  if (results.length !== outputs.length) {
    throw new Error(`outputs could not be staged: ${lastWords(result.stderr) || `exit code ${result.exitCode}`}`);
  }
  return results;
}

/** Folders of scratch and where containers have them, for scripts that follow what a job calls by those names. */
export function boundFolders(binds: Bind[], how?: 'counted'): string[] {
  const folders = binds
    .filter(({ from = 'scratch' }) => from === 'scratch')
    .map(({ source, target }) => [source, withoutTrailingSlashes(posix.normalize(target))]);
  return [...(how === 'counted' ? [String(folders.length)] : []), ...folders.flat()];
}

const failedCauses = ['missing', 'tarball', 'unreadable', 'refused', 'upload'] as const;

export function parseOutput(line: string): OutputResult {
  const [word, first = '', ...rest] = line.split(' ');
  if (word === 'uploaded') return { kind: 'uploaded', sizeBytes: Number(first) };
  const cause = failedCauses.find((each) => each === first) ?? 'upload';
  return { kind: 'failed', cause, detail: userWords(rest.join(' ')).trim() };
}
