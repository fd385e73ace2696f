/** What is asked of a run while it goes on: the Node side of `scripts/exec.sh` and `scripts/snapshot.sh`. */
import { randomBytes } from 'node:crypto';
import type { RuntimeProgram } from '../domain/machine.ts';
import { runToken, type RunRef } from '../domain/runs.ts';
import { HostError } from './host.ts';
import { lastWords, type ScriptRunner } from './installed-scripts.ts';
import { launchText } from './launch-text.ts';
import { imageFile } from './machine-images.ts';
import { boundFolders, parseOutput } from './machine-staging.ts';
import type { ContainerLaunch, ExecRequest, ExecResult, OutputResult, SnapshotRequest } from './machine.ts';
import { curlConfigValue } from './quoting.ts';

/** The script ends the command by itself; a machine that says nothing for so much longer is in trouble. */
const graceSeconds = 20;
const causes = ['exited', 'limit', 'memory', 'runEnded', 'unwanted', 'processes'] as const;

/** @throws HostError; whatever `request` throws */
export async function exec(
  scripts: ScriptRunner,
  run: RunRef,
  request: ExecRequest,
  programFor: (launch: ContainerLaunch) => RuntimeProgram,
  mostProcesses: number,
  signal?: AbortSignal,
): Promise<ExecResult> {
  const boundary = `#${randomBytes(12).toString('hex')}`;
  const limits = [Math.ceil(request.limitSeconds), Math.floor(request.memoryBytes / 1024)].map(String);
  const session = await scripts.open('exec', [runToken(run), ...limits, boundary, String(mostProcesses)], {
    lasts: 'minutes',
    ...(signal ? { signal } : {}),
  });
  // Its stdin is what keeps the command alive: the script tidies up when that ends.
  const giveUp = () => void session.stdin.end();
  const timer = setTimeout(() => session.close(), (request.limitSeconds + graceSeconds) * 1000);
  session.stdin.on('error', () => {});
  signal?.addEventListener('abort', giveUp, { once: true });
  if (signal?.aborted) giveUp();
  let words = '';
  session.stderr.on('data', (chunk: Buffer) => (words = (words + chunk.toString()).slice(-2000)));
  try {
    let hello: string | undefined = '';
    let isWanted = true;
    for await (const chunk of session.stdout as AsyncIterable<Buffer>) {
      let bytes = chunk;
      if (hello !== undefined) {
        const end = bytes.indexOf(10);
        hello += bytes.subarray(0, end < 0 ? bytes.length : end).toString();
        if (end < 0) continue;
        const launch = await request.launch(Number(hello.replace(/^task /, '')));
        hello = undefined;
        const program = programFor(launch);
        const text = launchText(launch, program);
        session.stdin.write(`${imageFile(launch.fileSha256, program)}\n${text}${boundary}\n`);
        bytes = bytes.subarray(end + 1);
      }
      if (!isWanted || bytes.length === 0) continue;
      isWanted = await request.onOutput(bytes);
      if (!isWanted) giveUp();
    }
    const end = await session.ended;
    if (signal?.aborted) throw new HostError('aborted', 'the caller gave up');
    if (end.error) throw end.error;
    return parseEnd(words);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', giveUp);
    giveUp();
    session.stdout.resume();
  }
}

function parseEnd(words: string): ExecResult {
  const [word, ...rest] = (words.trim().split('\n').at(-1) ?? '').split(' ');
  if (word === 'refused') return { kind: 'refused', detail: rest.join(' ') };
  const cause = causes[Number(rest[1])];
  if (word !== 'ended' || cause === undefined) {
    throw new HostError('unreachable', `the command's end was not told: ${lastWords(words) || 'no answer'}`);
  }
  return { kind: 'ended', exitCode: Number(rest[0]), cause };
}

/** @throws HostError; Error when the machine did not answer */
export async function snapshot(
  scripts: ScriptRunner,
  run: RunRef,
  { path, url, binds = [] }: SnapshotRequest,
  signal?: AbortSignal,
): Promise<OutputResult> {
  const result = await scripts.run('snapshot', {
    args: [runToken(run), path, ...boundFolders(binds)],
    stdin: Buffer.from(`url = ${curlConfigValue(url)}\n`),
    lasts: 'hours',
    ...(signal ? { signal } : {}),
  });
  const answer = result.stdout.toString().trim();
  if (answer === '') throw new Error(`the snapshot could not be made: ${lastWords(result.stderr)}`);
  return parseOutput(answer);
}
