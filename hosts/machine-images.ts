/** The image cache of a machine: the Node side of `scripts/pull-image.sh`. */
import type { RuntimeProgram } from '../domain/machine.ts';
import { runToken } from '../domain/runs.ts';
import type { RunResult } from './host.ts';
import { builderError, curlError, httpError } from './image-errors.ts';
import { lastWords, type ScriptRunner } from './installed-scripts.ts';
import { ImageError, type ImageRequest, type ImageSource, type PulledImage } from './machine.ts';
import { curlConfigValue } from './quoting.ts';
import { pinned, resolveDigest, wholeReference } from './registry.ts';

/** @throws ImageError; HostError */
export async function pullImage(
  scripts: ScriptRunner,
  cacheBytes: number,
  image: ImageRequest,
  program: RuntimeProgram,
  signal?: AbortSignal,
): Promise<PulledImage> {
  const { source } = image;
  if (!/^[A-Za-z0-9_-]+$/.test(image.imageKey)) throw new Error(`not a cache key: ${image.imageKey}`);
  const began = performance.now();
  const digest = source.kind === 'registry' ? await resolveDigest(source, signal) : undefined;
  const result = await scripts.run('pull-image', {
    args: [
      image.imageKey,
      ...describe(image, imageForm(program), digest),
      String(Math.floor(cacheBytes)),
      imageForm(program),
      ...(source.kind === 'path' ? source.directories : []),
      ...(source.kind === 'stored' ? ['storage', `runs/${runToken(source.run)}`] : []),
    ],
    stdin: Buffer.from(secretLines(source)),
    staysOpen: true,
    lasts: 'hours',
    ...(signal ? { signal } : {}),
  });
  const { status, fileSha256, sizeBytes } = parsePull(source, result);
  return {
    status,
    seconds: (performance.now() - began) / 1000,
    fileSha256,
    sizeBytes,
    ...(digest !== undefined ? { digest } : {}),
  };
}

export type ImageForm = 'sif' | Exclude<RuntimeProgram, 'apptainer'>;

/** What the files of a program in the cache are called at their end. */
export function imageForm(program: RuntimeProgram): ImageForm {
  return program === 'apptainer' ? 'sif' : program;
}

function describe({ source }: ImageRequest, form: ImageForm, digest: string | undefined): string[] {
  if (source.kind === 'registry') {
    const whole = form !== 'sif' ? wholeReference(source.reference) : source.reference;
    const reference = digest === undefined ? whole : pinned(whole, digest);
    return ['registry', reference, source.insecure ? '1' : '0', digest ?? '-', '-'];
  }
  const from = source.kind === 'download' ? '-' : source.kind === 'stored' ? `./${source.path}` : source.path;
  return [source.archive || form !== 'sif' ? 'archive' : 'sif', from, '0', '-', source.sha256 ?? '-'];
}

function secretLines(source: ImageSource): string {
  if (source.kind === 'download') return `url = ${curlConfigValue(source.url)}\n\n`;
  if (source.kind !== 'registry') return '\n\n';
  const { username = '', token = '' } = source.credential ?? {};
  if (/[\r\n\0]/.test(username + token)) throw new ImageError('unauthorized', 'a credential must not hold line breaks');
  return `${username}\n${token}\n`;
}

function parsePull(
  source: ImageSource,
  result: RunResult,
): { status: PulledImage['status']; fileSha256: string; sizeBytes: number } {
  const answer = result.stdout.toString().trim().split('\n').at(-1) ?? '';
  const [word, first = '', second = '', third] = answer.split(' ');
  if (word === 'image' && (first === 'completed' || first === 'cached')) {
    return { status: first, fileSha256: second, sizeBytes: Number(third) };
  }
  const stderr = result.stderr.toString();
  if (word !== 'failed') {
    const code = /no space left/i.test(stderr) ? 'diskFull' : 'transient';
    throw new ImageError(code, lastWords(stderr) || `the pull ended with ${result.exitCode}`);
  }
  const detail = answer.slice(`failed ${first} `.length);
  switch (first) {
    case 'http':
      throw httpError(Number(detail));
    case 'curl':
      throw curlError(Number(detail), stderr);
    case 'checksum':
      throw new ImageError('checksum', detail);
    case 'invalid':
      throw new ImageError('invalid', detail);
    case 'path':
      throw new ImageError('notFound', detail);
    case 'runtime':
      throw new ImageError('invalid', detail);
    default:
      throw builderError(source.kind === 'registry' ? 'registry' : 'archive', stderr);
  }
}
