/** The image cache of a machine: the Node side of `scripts/pull-image.sh`. */
import { createHash } from 'node:crypto';
import type { RuntimeProgram } from '../domain/machine.ts';
import { runToken } from '../domain/runs.ts';
import type { RunResult } from './host.ts';
import { builderError, curlError, httpError } from './image-errors.ts';
import { lastWords, type ScriptRunner } from './installed-scripts.ts';
import { ImageError, type ImageRequest, type ImageSource, type PulledImage } from './machine.ts';
import { curlConfigValue } from './quoting.ts';
import { parseReference, pinned, resolveDigest, wholeReference } from './registry.ts';

export interface ImageLimits {
  /** The cache gives up its least recently used images beyond this. */
  cacheBytes: number;
  /** What one image may have unpacked. */
  mostBytes: number;
  /** Registries that may be asked at addresses that are not public. */
  privateHosts: readonly string[];
}

/** What comes from others and names a file: 64 hexadecimal digits, and nothing else. */
const isSha256 = (text: string): boolean => /^[0-9a-f]{64}$/.test(text);

/** @throws ImageError; HostError */
export async function pullImage(
  scripts: ScriptRunner,
  limits: ImageLimits,
  image: ImageRequest,
  program: RuntimeProgram,
  signal?: AbortSignal,
): Promise<PulledImage> {
  const { source } = image;
  if (!/^[A-Za-z0-9_-]+$/.test(image.imageKey)) throw new Error(`not a cache key: ${image.imageKey}`);
  const began = performance.now();
  const announced = source.kind === 'registry' ? undefined : source.sha256;
  if (announced !== undefined && !isSha256(announced)) {
    throw new ImageError('checksum', `imageSha256 must be 64 hexadecimal digits, and is ${JSON.stringify(announced)}`);
  }
  const digest = source.kind === 'registry' ? await resolveDigest(source, limits.privateHosts, signal) : undefined;
  const result = await scripts.run('pull-image', {
    args: [
      image.imageKey,
      ...describe(image, imageForm(program), digest),
      String(Math.floor(limits.cacheBytes)),
      String(Math.floor(limits.mostBytes)),
      imageForm(program),
      ...(source.kind === 'path' ? source.directories : []),
      ...(source.kind === 'stored' ? ['mount', `runs/${runToken(source.run)}`] : []),
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

type ImageForm = 'sif' | Exclude<RuntimeProgram, 'apptainer'>;

/** What the files of a program in the cache are called at their end. */
function imageForm(program: RuntimeProgram): ImageForm {
  return program === 'apptainer' ? 'sif' : program;
}

/** The name of a pulled image in the cache and in runs. */
export function imageFile(fileSha256: string, program: RuntimeProgram): string {
  if (!isSha256(fileSha256)) throw new Error(`not a name of an image: ${JSON.stringify(fileSha256)}`);
  return `${fileSha256}.${imageForm(program)}`;
}

function describe({ source }: ImageRequest, form: ImageForm, digest: string | undefined): string[] {
  if (source.kind === 'registry') {
    const whole = form !== 'sif' ? wholeReference(source.reference) : source.reference;
    const reference = digest === undefined ? whole : pinned(whole, digest);
    return ['registry', reference, source.insecure ? '1' : '0', contentName(source.reference, digest), '-'];
  }
  const from = source.kind === 'download' ? '-' : source.kind === 'stored' ? `./${source.path}` : source.path;
  return [source.archive || form !== 'sif' ? 'archive' : 'sif', from, '0', '-', source.sha256 ?? '-'];
}

/** What the registry was asked about just now. Its name is in it: another one may claim to have the same. */
function contentName(reference: string, digest: string | undefined): string {
  const parsed = parseReference(reference);
  if (!parsed || digest === undefined) return '-';
  return createHash('sha256').update([parsed.host, parsed.repository, digest].join('\n')).digest('hex');
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
  if (
    word === 'image' &&
    (first === 'completed' || first === 'cached') &&
    isSha256(second) &&
    /^\d+$/.test(third ?? '')
  ) {
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
