/** Starting and killing tasks: the Node side of `scripts/supervise.sh` and `scripts/kill.sh`. */
import { randomBytes } from 'node:crypto';
import type { RuntimeProgram } from '../domain/machine.ts';
import { runToken, type RunRef } from '../domain/runs.ts';
import { finish, lastWords, type ScriptRunner } from './installed-scripts.ts';
import { imageFile } from './machine-images.ts';
import { launchText } from './launch-text.ts';
import type { Starter } from './machine-starter.ts';
import type { RunPreparation, StartResult, TaskLaunch } from './machine.ts';
import { pack } from 'tar-stream';

/** @throws HostError; Error with the machine's words when it could not write what the task needs */
export async function startTask(
  scripts: ScriptRunner,
  starter: Starter,
  run: RunRef,
  launch: TaskLaunch,
  program: RuntimeProgram,
  mostProcesses: number,
): Promise<StartResult> {
  const boundary = `#${randomBytes(12).toString('hex')}`;
  const text = launchText(launch, program);
  const { inputs } = launch.prepare;
  const args = [
    runToken(run),
    String(launch.launchNumber),
    imageFile(launch.fileSha256, program),
    String(Math.ceil(launch.walltimeSeconds)),
    String(Math.floor(launch.memoryBytes / 1024)),
    String(Math.ceil(launch.killGraceSeconds)),
    inputs.length > 0 ? '1' : '0',
    boundary,
    String(launch.outputBytes),
    launch.stdoutFile === undefined ? '-' : Buffer.from(launch.stdoutFile).toString('base64'),
    String(mostProcesses),
  ];
  if (inputs.length === 0) return parseAnswer(await starter.start(args, text, boundary), '');
  // Inputs may be large, and what reads them reads to the end: they come by a command of their own.
  const stdin = Buffer.concat([Buffer.from(`${text}${boundary}\n`), await inputsTar(launch.prepare)]);
  const result = await scripts.run('supervise', { args, stdin, timeoutSeconds: 120 });
  return parseAnswer(result.stdout.toString(), result.stderr);
}

function parseAnswer(answer: string, stderr: Buffer | string): StartResult {
  const [word, ...rest] = answer.trim().split(' ');
  switch (word) {
    case 'started':
      return { kind: 'started', startedAt: Number(rest[0]) };
    case 'imageMissing':
      return { kind: 'imageMissing' };
    case 'killed':
      return { kind: 'killed' };
    default:
      throw new Error(
        `the task could not be started: ${lastWords(rest.join(' ')) || lastWords(stderr) || 'no answer'}`,
      );
  }
}

export async function killRun(
  scripts: ScriptRunner,
  run: RunRef,
  graceSeconds: number,
  mount: 'keepMount' | 'endMount' = 'endMount',
): Promise<void> {
  const result = await scripts.run('kill', {
    args: [runToken(run), String(Math.ceil(graceSeconds)), ...(mount === 'keepMount' ? ['keep'] : [])],
    timeoutSeconds: graceSeconds + 120,
  });
  if (result.exitCode !== 0) throw new Error(`the run could not be killed: ${lastWords(result.stderr)}`);
}

/** What tar turns into the inputs in scratch. Names are basenames by contract; anything else is refused here. */
export async function inputsTar(prepare: RunPreparation): Promise<Buffer> {
  const tar = pack();
  // The last member tells the machine that nothing was cut off.
  const end = { filename: '.prominence-inputs-end', content: new Uint8Array(), executable: false };
  for (const { filename, content, executable } of [...prepare.inputs, end]) {
    if (!isBasename(filename)) throw new Error(`not a file name: ${JSON.stringify(filename)}`);
    tar.entry({ name: filename, mode: executable ? 0o775 : 0o644, mtime: new Date() }, Buffer.from(content));
  }
  return finish(tar);
}

export function isBasename(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !/[/\0]/.test(name);
}
