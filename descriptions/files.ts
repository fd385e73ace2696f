/** What is brought to a job and taken from it: artifacts, input files, outputs (docs/wire.md 3.5). */
import type { Artifact, InputFile, JobDescription } from '../domain/description.ts';
import { scratchOutputs } from '../domain/environment.ts';
import { meetingFiles } from '../domain/staged-names.ts';
import { limits } from './limits.ts';
import { isObject, type ObjectReader, type Place } from './reader.ts';
import { flag, strings, text } from './values.ts';
import { webAddress } from './web-address.ts';

export const artifactItems: ReadonlySet<string> = new Set(['url', 'mountpoint', 'executable']);
export const inputItems: ReadonlySet<string> = new Set(['filename', 'content', 'executable']);

export function readArtifacts(job: ObjectReader): Artifact[] {
  if (!job.has('artifacts')) return [];
  const entries = job.list('artifacts', 'an array of artifacts must be provided', limits.artifacts) ?? [];
  const artifacts = entries.flatMap((entry, i) => readArtifact(job, entry, `artifacts[${i}]`) ?? []);
  const mounted = artifacts.filter(({ mountpoint }) => mountpoint !== undefined);
  if (mounted.length > limits.mountpoints.most) job.issue('artifacts', limits.mountpoints.message);
  return artifacts;
}

function readArtifact(job: ObjectReader, entry: Place, key: string): Artifact | undefined {
  const read = job.reader(entry);
  if (!read) {
    job.issue(key, 'each artifact must be an object');
    return undefined;
  }
  read.onlyKeys(artifactItems, (item) => `invalid item ${item} in artifact`);
  if (!read.has('url')) read.issue('url', 'an artifact must contain a URL');
  const url = read.field('url', text('the URL of an artifact must be a string'));
  if (url === '') read.ownIssue('url', 'an artifact must contain a URL');
  const address = url === undefined ? undefined : webAddress(url);
  if (url?.includes('http') && address === undefined) {
    read.ownIssue('url', `the URL of an artifact must be an http or https URL, or the name of an upload, not "${url}"`);
  }
  const mountpoint = readMountpoint(read);
  const executable = read.ownField('executable', flag('executable in artifact'));
  return { url: address ?? url ?? '', ...(mountpoint ? { mountpoint } : {}), executable: executable ?? false };
}

function readMountpoint(read: ObjectReader): Artifact['mountpoint'] {
  const mountpoint = read.field('mountpoint', text('the mountpoint for an artifact must be a string'));
  if (mountpoint === undefined) return undefined;
  const colon = mountpoint.indexOf(':');
  if (colon < 0) {
    read.issue('mountpoint', 'invalid mountpoint for artifact');
    return undefined;
  }
  const source = mountpoint.slice(0, colon);
  const target = mountpoint.slice(colon + 1);
  if (source.includes('/')) read.issue('mountpoint', 'invalid source in mountpoint for artifact');
  // Such a source would bind the scratch directory itself, or what is above it.
  else if (['', '.', '..'].includes(source)) {
    read.ownIssue('mountpoint', 'invalid source in mountpoint for artifact');
  }
  if (!target.startsWith('/')) read.issue('mountpoint', 'the mountpoint for an artifact must be an absolute path');
  else if (target.includes(':')) read.ownIssue('mountpoint', 'invalid mountpoint for artifact');
  return { source, target };
}

/** They are parts of entries of an index. */
export const longestOutputBytes = 2000;

export function readOutputs(job: ObjectReader, key: 'outputFiles' | 'outputDirs'): string[] {
  const names = job.field(key, strings(`an array of ${key} must be provided`, `${key} must be a list of strings`));
  if (names && names.length > limits[key].most) job.issue(key, limits[key].message);
  if (names?.includes('')) job.ownIssue(key, `${key} must not contain an empty name`);
  if (names?.some((name) => Buffer.byteLength(name) > longestOutputBytes)) {
    job.ownIssue(key, `${key} must not contain names of more than ${longestOutputBytes} bytes`);
  }
  return [...new Set(names)];
}

export function readInputs(job: ObjectReader): InputFile[] {
  if (!job.has('inputs')) return [];
  const entries = job.list('inputs', 'an array of inputs must be provided', limits.inputs) ?? [];
  const byName = new Map<string, InputFile>();
  entries.forEach((entry, i) => {
    const input = readInput(job, entry, `inputs[${i}]`);
    if (!input) return;
    const other = byName.get(input.filename);
    if (other && !isSame(other, input)) {
      const rule = 'an input is called by the last part of its filename: rename one of them';
      job.ownIssue(`inputs[${i}]`, `two inputs would both be the file "${input.filename}"; ${rule}`);
    }
    byName.set(input.filename, input);
  });
  return [...byName.values()];
}

const isSame = (one: InputFile, other: InputFile): boolean =>
  one.contentBase64 === other.contentBase64 && one.executable === other.executable;

/** Nothing that is brought to a job replaces something else that is. */
export function checkMeetingFiles(job: ObjectReader, artifacts: Artifact[], inputs: InputFile[]): void {
  const meeting = meetingFiles(artifacts, inputs);
  if (meeting) job.ownIssue('artifacts', meeting);
}

/** In the user's own storage an output has its name there, and a folder's archive one that a file may have as well. */
export function checkMeetingOutputs(
  job: ObjectReader,
  {
    artifacts,
    outputFiles,
    outputDirs,
    storage,
  }: Pick<JobDescription, 'artifacts' | 'outputFiles' | 'outputDirs' | 'storage'>,
): void {
  if (!storage?.isDefault) return;
  const inScratch = scratchOutputs(artifacts);
  const files = new Map(outputFiles.map((name) => [inScratch(name), name]));
  for (const name of outputDirs) {
    const file = files.get(`${inScratch(name)}.tgz`);
    if (file === undefined) continue;
    job.ownIssue(
      'outputDirs',
      `the output file "${file}" and the archive of the folder "${name}" would be one file in the storage`,
    );
  }
}

function readInput(job: ObjectReader, entry: Place, key: string): InputFile | undefined {
  if (typeof entry.value === 'string' && entry.value !== '') {
    // Upstream goes through the characters as if they were keys, and names the first.
    job.issue(key, `invalid item ${[...entry.value.slice(0, 2)][0]} in input`);
    return undefined;
  }
  if (!isObject(entry.value)) {
    job.issue(key, 'each input must contain a filename');
    return undefined;
  }
  const read = job.reader(entry);
  if (!read) return undefined;
  read.onlyKeys(inputItems, (item) => `invalid item ${item} in input`);
  if (!read.has('filename')) read.issue('filename', 'each input must contain a filename');
  if (!read.has('content')) read.issue('content', 'each input must contain base64 encoded content');
  const path = read.field('filename', text('the filename of an input must be a string'));
  const content = read.field('content', text('the content of an input must be a base64 string'));
  const executable = read.ownField('executable', flag('executable in input'));
  if (path === undefined || content === undefined) return undefined;

  const filename = path.slice(path.lastIndexOf('/') + 1);
  if (['', '.', '..'].includes(filename)) {
    read.ownIssue('filename', `the filename of an input must name a file, not "${path}"`);
  }
  const contentBase64 = canonicalBase64(content);
  if (contentBase64 === undefined) read.ownIssue('content', `the content of input "${filename}" must be base64`);
  return { filename, contentBase64: contentBase64 ?? '', executable: executable ?? false };
}

/** Line breaks and missing padding are forgiven; undefined when it is not base64. */
function canonicalBase64(content: string): string | undefined {
  const packed = /\s/.test(content) ? content.replace(/\s+/g, '') : content;
  const digits = packed.replace(/={0,2}$/, '');
  if (digits.length % 4 === 1 || /[^A-Za-z0-9+/]/.test(digits)) return undefined;
  return digits.padEnd(Math.ceil(digits.length / 4) * 4, '=');
}
