/** `npm run quickstart`: one real job from nothing to its output, told step by step. Exit code 0 only if it completed. */
import { createClient, type Client } from '../client/client.ts';
import { ApiRefused, ApiUnreachable } from '../client/errors.ts';
import type { JobDetail } from '../client/types.ts';
import { staticBusybox } from './components/busybox.ts';
import { ensure } from './components/ensure.ts';
import { setUp } from './components/setup.ts';
import { thisMachine, type Machine } from './machine.ts';
import { follow } from './quickstart/follow.ts';
import { busyboxArchive, registryHasBusybox } from './quickstart/image.ts';
import { exampleJob, outputFile } from './quickstart/job.ts';
import { stopRequest } from './stop-request.ts';
import { findRunningStack } from './stack/running-stack.ts';
import { StackRefused, startStack, type Stack } from './stack/stack.ts';
import { ChildFailed } from './stack/supervised-process.ts';

const user = 'quickstart';
const jobTakesAtMostSeconds = 300;
const startedAt = Date.now();

let steps = 0;
function step(text: string): void {
  steps += 1;
  const seconds = ((Date.now() - startedAt) / 1000).toFixed(1).padStart(5);
  console.log(`[${seconds} s] ${steps}. ${text}`);
}
const detail = (text: string): void => console.log(`            ${text}`);

/** What went wrong is the machine's or the job's, told in its message; a stack trace would not help. */
class QuickstartFailed extends Error {
  override readonly name = 'QuickstartFailed';
}

async function main(machine: Machine, signal: AbortSignal): Promise<void> {
  step('Making sure of the parts (Temporal, PostgreSQL, Apptainer)');
  const { missing } = await setUp(machine, { quiet: true, say: detail });
  if (missing.length > 0) throw new QuickstartFailed('a part is missing, see above');

  const running = await findRunningStack(machine.home);
  step(running ? `Using the stack that runs on ${machine.home}` : `Starting the stack on ${machine.home}`);
  const stack = running ?? (await startFor(machine));
  detail(`API ${stack.apiUrl}, Temporal UI ${stack.temporalUiUrl}`);
  try {
    signal.throwIfAborted();
    const client = createClient({ url: `${stack.apiUrl}/v1`, token: await stack.token(user) });
    const image = await chooseImage(client, machine);
    await runExample(client, image, signal);
  } finally {
    if (!running) {
      step('Stopping the stack');
      await (stack as Stack).stop();
    }
  }
}

function startFor(machine: Machine): Promise<Stack> {
  const port = Number(machine.env['PROMINENCE_PORT']);
  const databaseUrl = machine.env['DATABASE_URL'];
  return startStack({ ...(port > 0 ? { port } : {}), ...(databaseUrl ? { databaseUrl } : {}), log: detail });
}

async function chooseImage(client: Client, machine: Machine): Promise<string> {
  if (await registryHasBusybox()) {
    step('Image: busybox, from Docker Hub');
    return 'busybox';
  }
  const busybox = await ensure(staticBusybox(machine), { isRoot: machine.isRoot, say: detail });
  if (busybox.kind === 'missing') throw new QuickstartFailed(`no registry answers, and ${busybox.message}`);
  const name = 'quickstart-busybox.tar';
  const archive = await busyboxArchive(busybox.found.path);
  step(`Image: no registry answers, so uploading one made of ${busybox.found.path}`);
  await client.upload(name, archive);
  detail(`${name}, ${(archive.length / 1e6).toFixed(1)} MB`);
  return name;
}

async function runExample(client: Client, image: string, signal: AbortSignal): Promise<void> {
  const id = await client.submit(exampleJob(image));
  step(`Submitted job ${id} (POST /jobs)`);
  const watcher = {
    onStatus: (status: string, reason: string | undefined) =>
      step(`Job ${id} is ${status}${reason ? `: ${reason}` : ''}`),
    onOutput: (text: string) => {
      for (const line of text.trimEnd().split('\n')) detail(`| ${line}`);
    },
  };
  const job = await follow(client, id, watcher, { signal, withinSeconds: jobTakesAtMostSeconds }).catch(
    async (error: unknown) => {
      // A container outlives the stack by design: without this an interrupted run would leave it behind.
      await deleteAndWait(client, id);
      throw error;
    },
  );
  if (job.status !== 'completed') {
    const stderr = (await client.stderr(id)).toString('utf8').trimEnd();
    if (stderr) detail(`stderr: ${stderr}`);
    throw new QuickstartFailed(`job ${id} ended as ${job.status}${job.statusReason ? `: ${job.statusReason}` : ''}`);
  }
  await showResult(job);
}

async function deleteAndWait(client: Client, id: number): Promise<void> {
  const ignore = { onStatus: () => undefined, onOutput: () => undefined };
  step(`Deleting job ${id}`);
  try {
    await client.delete(id);
    await follow(client, id, ignore, { signal: new AbortController().signal, withinSeconds: 30 });
  } catch (error) {
    detail(`job ${id} could not be deleted: ${(error as Error).message}`);
  }
}

async function showResult(job: JobDetail): Promise<void> {
  const output = job.outputFiles?.find((file) => file.name === outputFile);
  if (!output?.url) throw new QuickstartFailed(`job ${job.id} completed without its output file ${outputFile}`);
  const response = await fetch(output.url);
  if (!response.ok) throw new QuickstartFailed(`the URL of ${outputFile} answered ${response.status}`);
  step(`Output file ${outputFile}: ${(await response.text()).trim()}`);
  const { createTime, startTime, endTime } = job.events;
  const task = job.execution?.tasks?.[0];
  const wall = task?.wallTimeUsage === undefined ? '' : `, task ${task.wallTimeUsage.toFixed(1)} s`;
  detail(`waited ${(startTime ?? createTime) - createTime} s, ran ${(endTime ?? 0) - (startTime ?? 0)} s${wall}`);
}

const machine = thisMachine();
const stop = stopRequest(machine.env);
try {
  await main(machine, stop);
  console.log(`Done in ${((Date.now() - startedAt) / 1000).toFixed(1)} s. Next: npm start`);
} catch (error) {
  process.exitCode = 1;
  const expected = [QuickstartFailed, StackRefused, ChildFailed, ApiRefused, ApiUnreachable];
  if (stop.aborted) console.error('Interrupted.');
  else if (expected.some((type) => error instanceof type)) console.error(`Failed: ${(error as Error).message}`);
  else throw error;
}
process.exit();
