/** Quoting for a POSIX shell. The only way a value may get into script text. */
export function shellQuote(value: string): string {
  return `'${value.replaceAll("'", `'\\''`)}'`;
}

/** `sh -c` in words: the script, then $1, $2, ... */
export function shellCommand(script: string, args: string[]): string {
  return ['exec sh -c', shellQuote(script), 'sh', ...args.map(shellQuote)].join(' ');
}

/** A double-quoted value of a curl configuration file (curl(1), `--config`). */
export function curlConfigValue(value: string): string {
  if (/[\r\n\0]/.test(value)) throw new Error('a URL must not contain line breaks');
  return `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}
