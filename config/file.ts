/** Reads the YAML file of the configuration. What it means is not decided here. */
import { readFileSync } from 'node:fs';
import { LineCounter, parseDocument } from 'yaml';
import { ConfigError } from './problems.ts';

/**
 * @returns the file's mapping; an empty file is an empty mapping. Keys without a value count as not given.
 * @throws ConfigError when the file can't be read, or is no YAML mapping; with line and column where there are any
 */
export function readConfigFile(file: string): Record<string, unknown> {
  const lines = new LineCounter();
  const document = parseDocument(readText(file), { lineCounter: lines, prettyErrors: false });
  if (document.errors.length > 0) {
    throw new ConfigError(
      document.errors.map((error) => {
        const { line, col } = lines.linePos(error.pos[0]);
        return `${file}:${line}:${col}: ${error.message}`;
      }),
    );
  }
  const value = withoutNulls(document.toJS());
  if (value === null || value === undefined) return {};
  if (typeof value !== 'object' || Array.isArray(value)) {
    throw new ConfigError([`${file}:1:1: must be a mapping of keys to values`]);
  }
  return value as Record<string, unknown>;
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const reason = code === 'ENOENT' ? 'there is no such file' : `can't be read: ${(error as Error).message}`;
    throw new ConfigError([`${file}: ${reason}`], { cause: error });
  }
}

/** `api:` with every key below it commented out is null in YAML, and means the defaults. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, each]) => each !== null)
      .map(([key, each]) => [key, withoutNulls(each)]),
  );
}
