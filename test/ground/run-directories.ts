/** What is in the run folder of the stack's local site, and what is still being removed. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import type { Stack } from '../../scripts/stack/stack.ts';

export function runDirectories(stack: Stack): string[] {
  const { sites } = parse(readFileSync(stack.configFile, 'utf8')) as { sites: { workDirectory: string }[] };
  return ['runs', 'removed'].flatMap((name) => {
    const folder = join(sites[0]!.workDirectory, name);
    return existsSync(folder) ? readdirSync(folder) : [];
  });
}
