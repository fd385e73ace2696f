/** The folders of the stack's local site that hold runs. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import type { Stack } from '../../scripts/stack/stack.ts';

type Configured = Pick<Stack, 'configFile'>;

function siteFolder({ configFile }: Configured): string {
  const { sites } = parse(readFileSync(configFile, 'utf8')) as { sites: { workDirectory: string }[] };
  return sites[0]!.workDirectory;
}

export const runFolder = (stack: Configured): string => join(siteFolder(stack), 'runs');

/** Also those that are still being removed. */
export function runDirectories(stack: Configured): string[] {
  return ['runs', 'removed'].flatMap((name) => {
    const folder = join(siteFolder(stack), name);
    return existsSync(folder) ? readdirSync(folder) : [];
  });
}
