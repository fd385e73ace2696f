/** A user's storage, mounted for a run: the Node side of `scripts/mount.sh` and `scripts/unmount.sh`. */
import { runToken, type RunRef } from '../domain/runs.ts';
import { withoutTrailingSlashes } from '../domain/slashes.ts';
import { lastWords, type ScriptRunner } from './installed-scripts.ts';
import type { MountResult, MountRequest, UnmountResult } from './machine.ts';
import { curlConfigValue } from './quoting.ts';

/** Three attempts of a minute each, and what they wait for. */
const mountSeconds = 300;

/** @throws HostError; Error when the machine gave no answer */
export async function mount(
  scripts: ScriptRunner,
  run: RunRef,
  request: MountRequest,
  signal?: AbortSignal,
): Promise<MountResult> {
  const result = await scripts.run('mount', {
    args: [runToken(run), ...argumentsOf(request)],
    stdin: Buffer.from(secretLines(request).join('')),
    timeoutSeconds: mountSeconds,
    lasts: 'minutes',
    ...(signal ? { signal } : {}),
  });
  const answer = result.stdout.toString().trim();
  if (answer === 'mounted' || answer === 'killed') return { kind: answer };
  if (answer.startsWith('failed ')) return { kind: 'failed', detail: answer.slice('failed '.length) };
  throw new Error(`the storage could not be mounted: ${lastWords(result.stderr) || answer || 'no answer'}`);
}

/** @throws HostError; Error when the machine gave no answer */
export async function unmount(
  scripts: ScriptRunner,
  run: RunRef,
  patienceSeconds: number,
  signal?: AbortSignal,
): Promise<UnmountResult> {
  const result = await scripts.run('unmount', {
    args: [runToken(run), String(Math.ceil(patienceSeconds))],
    lasts: 'hours',
    ...(signal ? { signal } : {}),
  });
  const answer = result.stdout.toString().trim();
  if (answer === 'unmounted') return { kind: 'unmounted' };
  if (answer.startsWith('failed ')) return { kind: 'failed', detail: answer.slice('failed '.length).trim() };
  throw new Error(`the storage could not be unmounted: ${lastWords(result.stderr) || answer || 'no answer'}`);
}

function argumentsOf(request: MountRequest): string[] {
  if (request.kind === 'webdav') return ['webdav'];
  return ['onedata', request.provider, request.directory, ...request.options];
}

function secretLines(request: MountRequest): string[] {
  if (request.kind === 'onedata') return [line(request.token)];
  const url = `${withoutTrailingSlashes(request.url)}/${request.directory === '' ? '' : `${encoded(request.directory)}/`}`;
  const { username, password } = request;
  const user = curlConfigValue(`${username}:${password}`);
  return [...[url, username, password].map(line), `url = ${curlConfigValue(url)}\n`, `user = ${user}\n`];
}

const encoded = (path: string): string => path.split('/').map(encodeURIComponent).join('/');

/** The script reads them line by line. */
function line(value: string): string {
  if (/[\r\n\0]/.test(value)) throw new Error('credentials of a storage must not contain line breaks');
  return `${value}\n`;
}
