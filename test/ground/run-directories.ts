/** The run folder of the stack's local site. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import type { Stack } from '../../scripts/stack/stack.ts';

type Configured = Pick<Stack, 'configFile'>;

export function runFolder({ configFile }: Configured): string {
  const { sites } = parse(readFileSync(configFile, 'utf8')) as { sites: { workDirectory: string }[] };
  return join(sites[0]!.workDirectory, 'runs');
}

export function runDirectories(stack: Configured): string[] {
  const folder = runFolder(stack);
  return existsSync(folder) ? readdirSync(folder) : [];
}
