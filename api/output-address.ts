/**
 * Which output a path under a workflow means. Names of jobs may contain slashes, encoded or not, and the command line
 * client of old swaps its arguments for stderr: `/workflows/9/0/3/stderr?node=job` (docs/wire.md 2.3).
 */

export interface OutputAddress {
  /** Of the job in the workflow's description. */
  name: string;
  instance?: number;
  /** Which of the job's machines. */
  machine: number;
}

/** What it may mean, likeliest first. `segments` are the encoded parts of the path between the workflow and the stream. */
export function outputAddresses(segments: string[], node: string, stream: 'stdout' | 'stderr'): OutputAddress[] {
  const parts = segments.map(decoded);
  const last = wholeNumber(parts.at(-1) ?? '');
  const names = [
    ...(parts.length > 1 && last !== undefined ? [{ name: parts.slice(0, -1).join('/'), instance: last }] : []),
    { name: parts.join('/') },
  ];
  const machine = wholeNumber(node);
  const straight = machine === undefined ? [] : names.map((it) => ({ ...it, machine }));
  return [...straight, ...(stream === 'stderr' ? swapped(parts, node) : [])];
}

function swapped(parts: string[], name: string): OutputAddress[] {
  const [machine, instance] = parts.map(wholeNumber);
  if (machine === undefined) return [];
  if (parts.length === 1) return [{ name, machine }];
  return parts.length === 2 && instance !== undefined ? [{ name, instance, machine }] : [];
}

const wholeNumber = (text: string): number | undefined => (/^\d{1,9}$/.test(text) ? Number(text) : undefined);

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch (error) {
    // A lone % is just that.
    if (error instanceof URIError) return segment;
    throw error;
  }
}
