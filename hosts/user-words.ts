/**
 * What programs on a machine say, in words for users: a path in a run's folder is told as the job's containers have it, and
 * of what else is ours there only that it is.
 */

const token = String.raw`[a-z0-9]+-\d+\.\d+\.\d+`;
/** As far as a path goes in such words, which may be quoted. */
const path = String.raw`[^\s'"‘’\`:;,]*`;

const replacements: [RegExp, string][] = [
  [new RegExp(`${path}runs/${token}/home(?=/|\\b)`, 'g'), '/home/user'],
  [new RegExp(`${path}runs/${token}/tmp(?=/|\\b)`, 'g'), '/tmp'],
  [new RegExp(`${path}runs/${token}/(?:staged/work|packed|snapshot)\\.\\d+${path}`, 'g'), 'the file'],
  [new RegExp(`${path}runs/${token}${path}`, 'g'), 'the folder of the run'],
  // The shell's own: which line of which script.
  [new RegExp(`(?:sh: )?${path}lib/[0-9a-f]{16}/[a-z-]+\\.(?:sh|py): (?:line )?(?:\\d+: )?`, 'g'), ''],
];

export function userWords(words: string): string {
  const told = replacements.reduce((text, [pattern, instead]) => text.replace(pattern, instead), words);
  return once(told);
}

/** One sentence is not said again and again. */
function once(words: string): string {
  const lines = words.split('\n');
  return lines.filter((line, index) => line.trim() === '' || lines.indexOf(line) === index).join('\n');
}
