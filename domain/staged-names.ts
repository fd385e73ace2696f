/**
 * What the files that are brought to a job are called in its scratch directory (docs/wire.md 7.4). An archive is
 * unpacked and has no place of its own there.
 */
import type { Artifact, InputFile } from './description.ts';
import { unpackRule } from './unpack-rule.ts';

/** The last part of a URL's path, or of an upload's name, where it can be a file's name. */
export function artifactFileName(url: string): string {
  const path = URL.canParse(url) ? new URL(url).pathname : url;
  const name = decoded(path.split('/').pop() ?? '');
  return name === '' || name === '.' || name === '..' || /[/\0]/.test(name) ? 'artifact' : name;
}

/** A sentence about two that would be one file, if there are; what is the same twice is no matter. */
export function meetingFiles(artifacts: Artifact[], inputs: InputFile[]): string | undefined {
  const brought = new Map<string, string>();
  for (const { url } of artifacts) {
    const name = stagedName(url);
    if (name === undefined) continue;
    const other = brought.get(name);
    if (other !== undefined && other !== url) return sentence(`artifacts "${other}" and "${url}"`, name);
    brought.set(name, url);
  }
  for (const { filename } of inputs) {
    const url = brought.get(filename);
    if (url !== undefined) return sentence(`artifact "${url}" and input "${filename}"`, filename);
  }
  return undefined;
}

const sentence = (which: string, name: string): string =>
  `${which} would both be the file "${name}" in the scratch directory: rename one of them`;

function stagedName(url: string): string | undefined {
  const name = artifactFileName(url);
  const unpacked = unpackRule(name);
  if (unpacked.rule === 'none') return name;
  return 'unpackedName' in unpacked ? unpacked.unpackedName : undefined;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    // A lone % is just that.
    if (error instanceof URIError) return text;
    throw error;
  }
}
